# The same random commands to this server and to redis-server: each reply must be the same, errors included. Strings, keys, expiry, transactions, two databases.
# PEER_SEED and PEER_STEPS choose others; a failure prints the seed and the step.
source [file join [file dirname [info script]] bed.tcl]
set steps [expr {[info exists env(PEER_STEPS)] ? $env(PEER_STEPS) : 6000}]
set seeds [expr {[info exists env(PEER_SEED)] ? $env(PEER_SEED) : [list 1 2 [clock format [clock seconds] -format %Y%j]]}]

proc pick {args} { lindex $args [expr {int(rand() * [llength $args])}] }
proc number {} { pick 0 1 -1 2 5 10 -3 007 +1 1.5 abc "" 9223372036854775807 -9223372036854775808 9223372036854775808 " 1" 100 }
proc small {} { pick 0 1 -1 2 3 5 -3 7 12 -100 100 }
proc real {} { pick 1 -1 0.1 1e3 3.0e-2 nan inf -inf abc "" 1.5x 0.0001 5e18 " 1" }
proc value {} { pick "" a hello "hello world" 10 -5 3.25 12345678901234567890 0 [string repeat xyz 30] "\x00\xff\r\n" 9223372036854775807 007 }
proc key {} { pick a b c d e {} "k 1" long:[string repeat k 50] }
# Never so near that it comes while the test runs, seldom the same twice: the two servers read two clocks.
proc far {} { pick [expr {1000000 + int(rand() * 100000) * 1000}] [expr {1000000 + int(rand() * 100000) * 1000}] 0 -1 abc 9223372036854775807 9223372036854775 }
proc keys_some {} { set out {}; for {set i [expr {1 + int(rand() * 3)}]} {$i > 0} {incr i -1} { lappend out [key] }; return $out }
proc case_of {word} { pick $word $word [string tolower $word] [string totitle $word] }

proc expiry_option {} { pick {} {} "EX [far]" "PX [far]" "KEEPTTL" "PERSIST" "EXAT 33177117420" "PXAT 33177117420000" "EX" "EX 100 PX 100" }
proc step {} {
    switch [expr {int(rand() * 46)}] {
        0 - 1 - 2 { return [concat SET [list [key] [value]] [expiry_option] [pick {} {} NX XX GET {NX GET} {NX XX} bogus]] }
        3 { return [list GET [key]] }
        4 { return [concat DEL [keys_some]] }
        5 { return [concat UNLINK [keys_some]] }
        6 { return [concat EXISTS [keys_some]] }
        7 { return [list TYPE [key]] }
        8 { return [concat TOUCH [keys_some]] }
        9 { return [list RENAME [key] [key]] }
        10 { return [list RENAMENX [key] [key]] }
        11 { return [concat COPY [list [key] [key]] [pick {} {} REPLACE {DB 1} {DB 1 REPLACE} {DB 99} {DB x} bogus]] }
        12 { return [list MOVE [key] [pick 0 1 2 99 x]] }
        13 { return [concat [pick EXPIRE PEXPIRE] [list [key] [far]] [pick {} {} NX XX GT LT {GT LT} {NX GT} {XX GT} bogus]] }
        14 { return [concat [pick EXPIREAT PEXPIREAT] [list [key] [pick 33177117420 33177117421000 1 -1 abc]] [pick {} {} NX XX GT LT bogus]] }
        15 { return [list [pick EXPIRETIME PEXPIRETIME] [pick none [key]]] }
        16 { return [list TTL none] }
        17 { return [list PERSIST [key]] }
        18 { return [list OBJECT ENCODING [key]] }
        19 { return [list GETDEL [key]] }
        20 { return [concat GETEX [list [key]] [expiry_option]] }
        21 { return [list GETSET [key] [value]] }
        22 { return [list SETNX [key] [value]] }
        23 { return [list [pick SETEX PSETEX] [key] [far] [value]] }
        24 { return [list MSET [key] [value] [key] [value]] }
        25 { return [list MSETNX [key] [value] [key] [value]] }
        26 { return [concat MGET [keys_some]] }
        27 { return [list APPEND [key] [value]] }
        28 { return [list STRLEN [key]] }
        29 { return [list SETRANGE [key] [pick 0 1 5 -1 20 x 536870912] [value]] }
        30 { return [list [pick GETRANGE SUBSTR] [key] [small] [small]] }
        31 { return [list [pick INCR DECR] [key]] }
        32 { return [list [pick INCRBY DECRBY] [key] [number]] }
        33 { return [list INCRBYFLOAT [key] [real]] }
        34 { return [concat LCS [list [key] [key]] [pick {} LEN IDX {IDX WITHMATCHLEN} {IDX MINMATCHLEN 2} {LEN IDX} bogus]] }
        35 { return [list SELECT [pick 0 0 1 99 x -1]] }
        36 { return [list DBSIZE] }
        37 { return [list SWAPDB [pick 0 1 x] [pick 0 1 99]] }
        38 { return [list [pick FLUSHDB FLUSHDB FLUSHALL] [pick SYNC ASYNC bogus]] }
        39 - 40 { return [list [pick MULTI EXEC DISCARD EXEC]] }
        41 { return [pick [concat WATCH [keys_some]] UNWATCH] }
        42 { return [list [pick ECHO GET PING STRLEN INCR TTL SET MSET MGET APPEND] ] }
        43 { return [list [pick nosuch OBJECT CONFIG CLIENT COMMAND] [pick bogus GET HELP2] x] }
        44 { return [concat SCAN [pick 0 x] [pick {} {COUNT 0} {COUNT x} {TYPE} bogus]] }
        45 { return [pick {PING hello} {PING a b} {ECHO hi} {OBJECT REFCOUNT} {DUMP none} {RANDOMKEY x} {TIME x} {DBSIZE x} {SELECT} {EXPIRE a}] }
    }
}
# What two servers may say in their own ways: the order of a walk and of parameters, a time that was set relative to now.
proc shown {reply} {
    lassign $reply type value
    if {$type eq "*"} {
        set out {}
        foreach e $value { lappend out [shown $e] }
        if {[llength $out] == 2 && [lindex $out 1 0] eq "*"} { lset out 1 1 [lsort [lindex $out 1 1]] }
        return [list * $out]
    }
    if {$type eq ":" && $value > 1e9 && $value < 33177117000} { return [list : "some second"] }
    if {$type eq ":" && $value > 1e12 && $value < 33177117000000} { return [list : "some millisecond"] }
    return $reply
}
proc both {words} {
    set a [shown [resp_ask $::varve $words]]
    set b [shown [resp_ask $::redis $words]]
    if {$a eq $b} { incr ::pass; return 1 }
    incr ::fail
    puts "failed: $words: $a, with redis-server $b"
    return 0
}

set varve [start $server --dir $root/v --databases 16]
set redis [start redis-server --save {} --dir $root]
foreach seed $seeds {
    expr {srand($seed)}
    puts "seed $seed"
    foreach c {DISCARD {SELECT 0} FLUSHALL} { resp_ask $varve $c; resp_ask $redis $c }
    for {set i 0} {$i < $steps && $fail < 20} {incr i} {
        set words [step]
        lset words 0 [case_of [lindex $words 0]]
        if {![both $words]} { puts "  at step $i of seed $seed" }
    }
}

foreach s [list $varve $redis] { resp_ask $s DISCARD }

# ---- configuration: what wrong values are answered ----
foreach line {
    {CONFIG SET maxclients x} {CONFIG SET appendfsync sometimes} {CONFIG SET timeout -1} {CONFIG SET nosuch 1} {CONFIG SET timeout} {CONFIG SET port 70000} {CONFIG SET databases 4}
    {CONFIG SET loglevel loud} {CONFIG SET maxmemory 1q} {CONFIG SET tcp-keepalive x} {CONFIG SET protected-mode maybe} {CONFIG SET timeout 1 timeout 2} {CONFIG GET nosuch}
    {CONFIG SET client-output-buffer-limit x} {CONFIG SET client-output-buffer-limit {normal 1 2}} {CONFIG SET proto-max-bulk-len 1} {CONFIG RESETSTAT x} {CONFIG}
    {CONFIG SET maxmemory-policy bogus} {CONFIG SET client-query-buffer-limit 5} {CONFIG SET unixsocket /x} {CONFIG SET daemonize yes}
} { both $line }
foreach name {port bind unixsocket dir appendfsync maxclients timeout tcp-keepalive loglevel logfile databases requirepass protected-mode proto-max-bulk-len client-query-buffer-limit client-output-buffer-limit
    daemonize pidfile} {
    set got [lindex [resp_ask $varve [list CONFIG GET $name]] 1]
    if {[llength $got] == 2 && [lindex $got 0 1] eq $name} { incr pass } else { incr fail; puts "failed: CONFIG GET $name: $got" }
}

# ---- while writes are paused, a key past its expiry is absent, and nothing is logged ----
resp_ask $varve {FLUSHALL}
resp_ask $varve {SET due 1 PX 30}
resp_ask $varve {CLIENT PAUSE 100000 WRITE}
set before [resp_field [resp_ask $varve DINFO] seq]
for {set i 0} {$i < 1000 && [lindex [resp_ask $varve {GET due}] 0] ne "nil"} {incr i} { after 2 }
set gone [resp_ask $varve {EXISTS due}]
set after [resp_field [resp_ask $varve DINFO] seq]
resp_ask $varve {CLIENT UNPAUSE}
if {$gone eq {: 0} && $before == $after} { incr pass } else { incr fail; puts "failed: paused: $gone, log from $before to $after" }

done peer
