//! Value encodings of RDB, DUMP and RESTORE.
