# What an application does through Perl's Redis module: run with the port as its argument, exits 0 if all held.
use strict;
use warnings;
use Redis;

my $r = Redis->new(server => "127.0.0.1:$ARGV[0]", read_timeout => 20);

sub same {
    my ($what, $got, $wanted) = @_;
    my $text = ref $got ? join(",", map { $_ // "undef" } @$got) : $got // "undef";
    die "$what: $text instead of $wanted\n" if $text ne $wanted;
}

same("ping", $r->ping, "PONG");
same("set", $r->set("pl:s" => "value"), "OK");
same("get", $r->get("pl:s"), "value");

same("rpush", $r->rpush("pl:list", qw(a b c d)), 4);
same("lrange", [$r->lrange("pl:list", 0, -1)], "a,b,c,d");
same("ltrim", $r->ltrim("pl:list", 1, 2), "OK");
same("blpop", [$r->blpop("pl:none", "pl:list", 5)], "pl:list,b");
same("brpoplpush", $r->brpoplpush("pl:list", "pl:moved", 5), "c");
same("llen", $r->llen("pl:list"), 0);

same("hmset", $r->hmset("pl:hash", name => "ring", size => 3), "OK");
same("hincrby", $r->hincrby("pl:hash", "size", 4), 7);
my %hash = $r->hgetall("pl:hash");
same("hgetall", [map { "$_=$hash{$_}" } sort keys %hash], "name=ring,size=7");

same("sadd", $r->sadd("pl:set", 1 .. 5), 5);
same("sdiff", [sort $r->sdiff("pl:set", "pl:none")], "1,2,3,4,5");
same("srem", $r->srem("pl:set", 2, 4, 9), 2);
same("smembers", [sort $r->smembers("pl:set")], "1,3,5");

same("zadd", $r->zadd("pl:zset", 1, "one", 2.5, "two", -3, "three"), 3);
same("zrange", [$r->zrange("pl:zset", 0, -1, "WITHSCORES")], "three,-3,one,1,two,2.5");
same("zrevrank", $r->zrevrank("pl:zset", "two"), 0);
same("zcount", $r->zcount("pl:zset", "-inf", 1), 2);

my $id = $r->xadd("pl:stream", "*", "field", "value");
same("xlen", $r->xlen("pl:stream"), 1);
my @entries = $r->xrange("pl:stream", "-", "+");
same("xrange", [$entries[0][0], @{ $entries[0][1] }], "$id,field,value");

same("pfadd", $r->pfadd("pl:hll", qw(a b c)), 1);
same("pfcount", $r->pfcount("pl:hll"), 3);

my $cursor = 0;
my %seen;
$r->sadd("pl:many", 1 .. 1000);
do {
    ($cursor, my $members) = $r->sscan("pl:many", $cursor);
    $seen{$_} = 1 for @$members;
} while $cursor;
same("sscan", scalar keys %seen, 1000);

$r->multi;
$r->rpush("pl:list", "x");
$r->hset("pl:hash", "name", "fort");
same("exec", [$r->exec], "1,0");
eval { $r->lpush("pl:hash", "x") };
die "no WRONGTYPE: $@\n" if $@ !~ /WRONGTYPE/;
print "all held\n";
