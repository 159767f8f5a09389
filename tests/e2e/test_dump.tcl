# DUMP and RESTORE between this server and a real redis-server, both ways, bytes and errors.
source [file join [file dirname [info script]] bed.tcl]
proc value {r} {lindex $r 1}

file mkdir $root/redis
set ours [start $server --dir $root/data]
set redis [start redis-server --dir $root/redis --save "" --appendonly no]

expr {srand(5)}
proc random_text {} {
    set kind [expr {int(rand() * 6)}]
    set n [expr {int(rand() * rand() * 20000)}]
    switch $kind {
        0 {return [expr {int(rand() * 300) - 150}]}
        1 {return [expr {int((rand() - 0.5) * 1e10)}]}
        2 {return [string repeat [format %c [expr {int(rand() * 256)}]] $n]}
        3 {return [string range [string repeat "some words that come again, " 800] 0 $n]}
        4 {set s ""; for {set i 0} {$i < $n % 500} {incr i} {append s [format %c [expr {int(rand() * 256)}]]}; return $s}
        5 {return [string repeat [format %04x [expr {int(rand() * 65536)}]] [expr {$n / 7}]][expr {rand()}]}
    }
}
for {set i 0} {$i < 300} {incr i} {
    set text [random_text]
    resp_ask $ours [list SET k $text]
    resp_ask $redis [list SET k $text]
    set from_ours [value [resp_ask $ours [list DUMP k]]]
    set from_redis [value [resp_ask $redis [list DUMP k]]]
    set a [resp_ask $redis [list RESTORE o 0 $from_ours REPLACE]]
    set b [resp_ask $ours [list RESTORE r 0 $from_redis REPLACE]]
    expect [expr {[value $a] eq "OK" && [value [resp_ask $redis [list GET o]]] eq $text}] "redis-server takes ours, [string length $text] bytes: $a"
    expect [expr {[value $b] eq "OK" && [value [resp_ask $ours [list GET r]]] eq $text}] "ours takes redis-server's, [string length $text] bytes: $b"
    expect [expr {[value [resp_ask $ours [list OBJECT ENCODING r]]] eq [value [resp_ask $redis [list OBJECT ENCODING o]]]}] "encodings agree"
}

# Words for what is wrong, and what options do.
set good [value [resp_ask $redis [list DUMP k]]]
foreach args [list {k 0 G} {n -1 G} {n x G} {n 0 G IDLETIME -1} {n 0 G FREQ 256} {n 0 G FREQ -1} {n 0 G IDLETIME 1 FREQ 1} {n 0 G ABSTTL SIDEWAYS} {n 0 abc} {n 0 {}} \
                  {n 0 G IDLETIME} {n 1 G ABSTTL} {k 1 G ABSTTL REPLACE} {n 0 G IDLETIME 10} {n 0 G REPLACE FREQ 9} {k x G} {m 100000 G REPLACE}] {
    set line [lmap a $args {expr {$a eq "G" ? $good : $a}}]
    set a [resp_ask $ours [list RESTORE {*}$line]]
    set b [resp_ask $redis [list RESTORE {*}$line]]
    expect [expr {$a eq $b}] "RESTORE $args: ours $a, redis-server $b"
    set a [resp_ask $ours {EXISTS k n m}]
    expect [expr {$a eq [resp_ask $redis {EXISTS k n m}]}] "keys after RESTORE $args"
}
for {set i 0} {$i < [string length $good]} {incr i [expr {1 + [string length $good] / 40}]} {
    set bad [string replace $good $i $i [format %c [expr {[scan [string index $good $i] %c] ^ 16}]]]
    expect [expr {[resp_ask $ours [list RESTORE bad 0 $bad]] eq [resp_ask $redis [list RESTORE bad 0 $bad]]}] "byte $i flipped"
}

# A document: redis-server refuses it in words, this server takes it back.
resp_ask $ours [list DPUT d:1 {{"a":[1,2.0]}}]
set doc [value [resp_ask $ours {DUMP d:1}]]
expect [string match "*Bad data format*" [value [resp_ask $redis [list RESTORE d 0 $doc]]]] "redis-server refuses a document and lives"
expect [expr {[value [resp_ask $redis PING]] eq "PONG"}] "redis-server lives"
expect [expr {[value [resp_ask $ours [list RESTORE d:2 0 $doc]]] eq "OK" && [value [resp_ask $ours {DGET d:2}]] eq {{"a":[1,2.0]}}}] "ours takes its document back"

done dump
