"""What an application does through redis-py: run with the port as its argument, exits 0 if all held."""

import asyncio
import sys
import threading

import redis
import redis.asyncio

PORT = int(sys.argv[1])


def connect(**options):
    return redis.Redis(port=PORT, socket_timeout=20, **options)


def strings():
    r = connect()
    assert r.ping()
    assert r.set("py:a", "1") and r.get("py:a") == b"1"
    assert r.set("py:a", "2", nx=True) is None
    assert r.set("py:a", "2", xx=True, get=True) == b"1"
    assert r.incr("py:a", 40) == 42 and r.decr("py:a") == 41
    assert r.incrbyfloat("py:a", 0.5) == 41.5
    assert r.mset({"py:m1": "x", "py:m2": "y"}) and r.mget("py:m1", "py:none", "py:m2") == [b"x", None, b"y"]
    assert r.append("py:m1", "yz") == 3 and r.strlen("py:m1") == 3
    assert r.setrange("py:m1", 1, "--") == 3 and r.getrange("py:m1", 0, -1) == b"x--"
    assert r.getdel("py:m2") == b"y" and not r.exists("py:m2")
    assert r.lcs("py:m1", "py:m1") == b"x--"
    binary = bytes(range(256)) * 400
    assert r.set(b"py:\x00\xff", binary) and r.get(b"py:\x00\xff") == binary
    text = connect(decode_responses=True)
    assert text.set("py:t", "grün") and text.get("py:t") == "grün"


def bits():
    r = connect()
    assert r.setbit("py:bits", 7, 1) == 0 and r.getbit("py:bits", 7) == 1
    assert r.bitcount("py:bits") == 1 and r.bitpos("py:bits", 1) == 7
    assert r.bitop("NOT", "py:not", "py:bits") == 1 and r.get("py:not") == b"\xfe"
    field = r.bitfield("py:field", "FAIL")
    assert field.set("u8", "#0", 255).incrby("u8", "#0", 1).get("u8", "#0").execute() == [0, None, 255]


def expiry():
    r = connect()
    r.set("py:e", "x", ex=100)
    assert 0 < r.ttl("py:e") <= 100 and r.persist("py:e") and r.ttl("py:e") == -1
    assert r.expireat("py:e", 32503680000) and r.expiretime("py:e") == 32503680000
    assert not r.expire("py:e", 100, nx=True) and r.expire("py:e", 100, lt=True)
    assert r.getex("py:e", persist=True) == b"x"


def keys():
    r = connect(db=9)
    r.flushdb()
    for number in range(1000):
        r.set(f"scan:{number}", number)
    assert len(set(r.scan_iter("scan:*", count=50))) == 1000
    assert len(list(r.scan_iter(_type="hash"))) == 0
    assert sorted(r.keys("scan:99?")) == [b"scan:99%d" % number for number in range(10)]
    assert r.rename("scan:1", "renamed") and r.type("renamed") == b"string"
    assert r.copy("renamed", "copied", replace=True) and r.object("ENCODING", "copied") == b"int"
    assert r.move("copied", 10) and connect(db=10).get("copied") == b"1"
    assert r.delete("scan:2", "scan:3", "none") == 2 and r.dbsize() == 998
    assert r.unlink(*r.keys("*")) == 998
    assert connect(db=10).flushdb()


def transactions():
    r = connect()
    r.set("py:n", 0)
    with r.pipeline(transaction=False) as pipe:
        for _ in range(500):
            pipe.incr("py:n")
        assert pipe.execute() == list(range(1, 501))
    with r.pipeline() as pipe:
        assert pipe.set("py:x", 1).incr("py:x").get("py:x").execute() == [True, 2, b"2"]
    with r.pipeline() as pipe:
        pipe.watch("py:n")
        r.incr("py:n")
        pipe.multi()
        pipe.set("py:n", "lost")
        try:
            pipe.execute()
            raise AssertionError("a watched key changed unnoticed")
        except redis.WatchError:
            pass

    def add(pipe):
        value = int(pipe.get("py:n"))
        pipe.multi()
        pipe.set("py:n", value + 1)

    def work():
        client = connect()
        for _ in range(25):
            client.transaction(add, "py:n")

    r.set("py:n", 0)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get("py:n") == b"100", r.get("py:n")


def pubsub():
    r = connect()
    p = r.pubsub()
    p.subscribe("py:news")
    p.psubscribe("py:n*")
    assert [p.get_message(timeout=20)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
    assert connect().publish("py:news", "hello") == 2
    first, second = p.get_message(timeout=20), p.get_message(timeout=20)
    assert (first["type"], first["data"]) == ("message", b"hello"), first
    assert (second["type"], second["pattern"]) == ("pmessage", b"py:n*"), second
    assert r.pubsub_numsub("py:news") == [(b"py:news", 1)] and r.pubsub_numpat() >= 1
    p.close()


def server():
    r = connect(client_name="py")
    assert r.client_getname() == "py"
    assert any(client["name"] == "py" for client in r.client_list())
    assert r.client_info()["id"] == r.client_id()
    assert r.info()["redis_version"].startswith("7.") and r.info("keyspace")["db0"]["keys"] > 0
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert r.config_set("slowlog-log-slower-than", 0) and r.slowlog_get() is not None and r.slowlog_reset()
    assert r.config_set("slowlog-log-slower-than", 10000)
    assert r.memory_usage("py:a") > 0 and r.memory_stats()["keys.count"] > 0
    assert r.command_count() > 80 and r.command()["get"]["arity"] == 2
    assert r.time()[0] > 1_500_000_000 and r.echo("x") == b"x"
    other = connect(client_name="victim")
    victim = other.client_id()
    assert r.client_kill_filter(_id=victim) == 1 and other.client_id() != victim
    with r.monitor() as m:
        connect().set("py:monitored", "1")
        seen = next(command for command in m.listen() if "py:monitored" in command["command"])
        assert seen["command"] == "SET py:monitored 1" and seen["client_type"] == "tcp", seen
    for wrong in (lambda: r.execute_command("NOSUCH"), lambda: r.set("py:a", 1, ex=0)):
        try:
            wrong()
            raise AssertionError("no error")
        except redis.ResponseError:
            pass


def lists():
    r = connect()
    assert r.rpush("py:list", "a", "b", "c") == 3 and r.lpush("py:list", "z") == 4
    assert r.lrange("py:list", 0, -1) == [b"z", b"a", b"b", b"c"]
    assert r.lpop("py:list") == b"z" and r.rpop("py:list", 2) == [b"c", b"b"]
    assert r.linsert("py:list", "after", "a", "b") == 2 and r.lindex("py:list", -1) == b"b"
    assert r.lmove("py:list", "py:other", "LEFT", "RIGHT") == b"a" and r.llen("py:other") == 1
    assert r.lpos("py:list", "b") == 0 and r.lrem("py:list", 0, "b") == 1 and not r.exists("py:list")
    # A queue between two threads.
    got = []
    worker = threading.Thread(target=lambda: got.append(connect().blpop(["py:q1", "py:q2"], timeout=20)))
    worker.start()
    while r.info("clients")["blocked_clients"] == 0:
        pass
    r.rpush("py:q2", "job")
    worker.join()
    assert got == [(b"py:q2", b"job")], got
    assert r.blpop(["py:q1"], timeout=1) is None


def hashes():
    r = connect()
    assert r.hset("py:hash", mapping={"name": "ring", "size": 3}) == 2
    assert r.hgetall("py:hash") == {b"name": b"ring", b"size": b"3"}
    assert r.hincrby("py:hash", "size", 4) == 7 and r.hincrbyfloat("py:hash", "size", 0.5) == 7.5
    assert r.hmget("py:hash", "name", "none") == [b"ring", None]
    assert r.hdel("py:hash", "size") == 1 and r.hlen("py:hash") == 1 and r.hexists("py:hash", "name")
    r.hset("py:big", mapping={f"field:{n}": n for n in range(2000)})
    assert len(dict(r.hscan_iter("py:big"))) == 2000
    assert r.execute_command("HEXPIRE", "py:hash", 100, "FIELDS", 1, "name") == [1]
    assert 0 < r.execute_command("HTTL", "py:hash", "FIELDS", 1, "name")[0] <= 100


def sets():
    r = connect()
    assert r.sadd("py:set1", 1, 2, 3) == 3 and r.sadd("py:set2", "3", "four") == 2
    assert r.sinter("py:set1", "py:set2") == {b"3"} and r.sismember("py:set2", "four")
    assert r.sunionstore("py:set3", "py:set1", "py:set2") == 4 and r.scard("py:set3") == 4
    assert r.smove("py:set1", "py:set2", 1) and r.smembers("py:set1") == {b"2", b"3"}
    assert r.spop("py:set1", 2) and not r.exists("py:set1")
    r.sadd("py:many", *range(3000))
    assert {int(member) for member in r.sscan_iter("py:many")} == set(range(3000))


def sorted_sets():
    r = connect()
    assert r.zadd("py:z", {"one": 1, "two": 2, "three": 3}) == 3
    assert r.zrange("py:z", 0, -1, withscores=True) == [(b"one", 1.0), (b"two", 2.0), (b"three", 3.0)]
    assert r.zincrby("py:z", 5, "one") == 6.0 and r.zrank("py:z", "one") == 2
    assert r.zrangebyscore("py:z", "(2", "+inf") == [b"three", b"one"]
    assert r.zpopmin("py:z") == [(b"two", 2.0)] and r.zcard("py:z") == 2
    assert r.zunionstore("py:z2", {"py:z": 2}) == 2 and r.zscore("py:z2", "one") == 12.0
    assert r.geoadd("py:geo", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"]) == 2
    assert 166.2 < r.geodist("py:geo", "Palermo", "Catania", "km") < 166.3
    assert r.geosearch("py:geo", longitude=15, latitude=37, radius=100, unit="km") == [b"Catania"]


def streams():
    r = connect()
    first = r.xadd("py:stream", {"temperature": 20})
    r.xadd("py:stream", {"temperature": 21})
    assert r.xlen("py:stream") == 2 and r.xrange("py:stream")[0] == (first, {b"temperature": b"20"})
    assert r.xgroup_create("py:stream", "readers", id="0")
    [[_, entries]] = r.xreadgroup("readers", "me", {"py:stream": ">"}, count=10)
    assert len(entries) == 2 and r.xpending("py:stream", "readers")["pending"] == 2
    assert r.xack("py:stream", "readers", *(entry for entry, _ in entries)) == 2
    assert r.xinfo_stream("py:stream")["length"] == 2 and r.xtrim("py:stream", 1, approximate=False) == 1


def hyperloglogs_and_sorting():
    r = connect()
    assert r.pfadd("py:hll", *range(1000)) and 980 < r.pfcount("py:hll") < 1020
    r.rpush("py:sort", 3, 1, 2)
    for n in (1, 2, 3):
        r.set(f"py:weight:{n}", 10 - n)
    assert r.sort("py:sort") == [b"1", b"2", b"3"]
    assert r.sort("py:sort", by="py:weight:*", get="py:weight:*") == [b"7", b"8", b"9"]


async def many_at_once():
    r = redis.asyncio.Redis(port=PORT, socket_timeout=20)

    async def one(number):
        await r.set(f"async:{number}", number)
        assert int(await r.get(f"async:{number}")) == number

    await asyncio.gather(*(one(number) for number in range(200)))
    await r.close()


TYPES = (lists, hashes, sets, sorted_sets, streams, hyperloglogs_and_sorting)
for check in (strings, bits, expiry, keys, transactions, pubsub, *TYPES, server):
    check()
asyncio.run(many_at_once())
print("all held")
