# Corners: fixed conversations, each on a new connection, with this server and with redis-server; what comes back must be the same to the byte. What is said here has been
# answered differently once, or easily could be.
source [file join [file dirname [info script]] bed.tcl]

# Everything at once, then no more: all that the server sends until it closes.
proc hear {port text} {
    set s [socket 127.0.0.1 $port]
    fconfigure $s -translation binary -buffering full
    puts -nonewline $s $text
    flush $s
    close $s write
    set heard [read $s]
    close $s
    # What is different from server to server.
    regsub -all {id\r\n:\d+} $heard {id} heard
    return $heard
}

proc both {text what} {
    set a [hear $::varve_port $text]
    set b [hear $::redis_port $text]
    expect [expr {$a eq $b}] $what "  here: [string map {\r\n { }} [string range $a 0 400]]\n  redis-server: [string map {\r\n { }} [string range $b 0 400]]"
}

# A conversation is a list of commands divided by semicolons, each split as redis-cli does it.
proc conversation {line version} {
    set text [expr {$version == 3 ? [resp_pack {HELLO 3}] : ""}]
    foreach command [split $line ";"] { append text [resp_pack [string trim $command]] }
    return $text
}

start $server --dir $root/v --databases 16 --threads 1 --enable-debug-command yes --enable-module-command yes --save {}
set varve_port $port
start redis-server --save {} --dir $root --enable-debug-command yes --enable-module-command yes
set redis_port $port

# ---- conversations ----
foreach line {
    {CLIENT REPLY OFF; nosuch; GET; CLIENT x; CLIENT REPLY ON; PING}
    {CLIENT REPLY SKIP; nosuch; PING; PING}
    {CLIENT REPLY SKIP; GET; PING}
    {CLIENT REPLY SKIP; RESET; PING; CLIENT REPLY OFF; RESET; PING; CLIENT REPLY SKIP; CLIENT REPLY ON; PING}
    {CLIENT REPLY SKIP; CLIENT REPLY SKIP; PING; PING}
    {EXEC x; MULTI; EXEC x; EXEC}
    {SET w 1; WATCH w; EXEC x; SET w 2; MULTI; PING; EXEC}
    {MULTI; nosuch; EXEC; MULTI; GET; EXEC; MULTI; OBJECT; EXEC; MULTI; CLIENT nosuch; EXEC; MULTI; HELLO 9; EXEC}
    {MULTI; SELECT 1; SET x 1; SELECT 99; EXEC; GET x; DEL x; SELECT 0; GET x}
    {MULTI; MULTI; WATCH a; DISCARD x; EXEC; EXEC}
    {CLIENT pause 0 all x; CLIENT PAUSE 0 x; CLIENT PAUSE x; CLIENT PAUSE -1; CLIENT PAUSE 0 write; CLIENT PAUSE}
    {CLIENT unblock 1 TIMEOUT x; CLIENT UNBLOCK 1 x; CLIENT UNBLOCK x; CLIENT UNBLOCK 99999 ERROR; CLIENT UNBLOCK}
    {CLIENT KILL; CLIENT KILL x; CLIENT KILL ID 0; CLIENT KILL ID 99999 x; CLIENT KILL TYPE x; CLIENT KILL USER nosuch; CLIENT KILL SKIPME maybe; CLIENT KILL ID 99999 ADDR 1.2.3.4:5}
    {CLIENT LIST TYPE x; CLIENT LIST ID x; CLIENT LIST ID; CLIENT LIST x; CLIENT LIST ID 99999; CLIENT SETNAME {a b}; CLIENT SETNAME {}; CLIENT GETNAME; CLIENT NO-EVICT x}
    {CONFIG SET a b c; CONFIG SET a; CONFIG GET; CONFIG GET nosuch; CONFIG REWRITE x; CONFIG RESETSTAT x; CONFIG GET timeout TIMEOUT tim*eout; CONFIG GET \\timeout}
    {CONFIG SET shutdown-on-sigint {force now save}; CONFIG GET shutdown-on-sigint; CONFIG SET shutdown-on-sigint {save nosave}; CONFIG SET shutdown-on-sigint {}; CONFIG SET shutdown-on-sigint default; CONFIG GET shutdown-on-sigint}
    {CONFIG SET maxmemory {}; CONFIG SET hash-max-listpack-value 9223372036854775808; CONFIG SET hash-max-listpack-value 99999999999999999999; CONFIG SET maxmemory 1q; CONFIG SET slowlog-log-slower-than -2; CONFIG SET maxclients 0}
    {CONFIG SET notify-keyspace-events mKng; CONFIG GET notify-keyspace-events; CONFIG SET notify-keyspace-events {}; CONFIG SET latency-tracking-info-percentiles {5e1 99.90}; CONFIG GET latency-tracking-info-percentiles}
    {CONFIG GET watchdog-period; CONFIG SET watchdog-period -1; CONFIG SET loading-process-events-interval-bytes 1023; CONFIG GET loading-process-events-interval-bytes; CONFIG GET key-load-delay; CONFIG GET lua-enable-deprecated-api; CONFIG SET lua-enable-deprecated-api yes; CONFIG GET rdb-key-save*}
    {CONFIG SET timeout 7 nosuch 1; CONFIG SET timeout 7 hz x; CONFIG SET timeout 7 TIMEOUT 8; CONFIG SET daemonize yes timeout 7; CONFIG SET timeout 7 daemonize yes; CONFIG GET timeout}
    {SELECT 9223372036854775807; SELECT 2147483648; SELECT 16; SELECT -1; SELECT x; SELECT 1.0; SELECT {}; MOVE a 2147483648; COPY a b DB 2147483648; SWAPDB 0 2147483648; SWAPDB x 0}
    {FLUSHDB; SCAN {}; SCAN {} COUNT 0; SCAN 0x; SCAN {} TYPE nosuch; SCAN { 1}; SCAN 18446744073709551616; SCAN 0 MATCH; SCAN 0 COUNT x}
    {FUNCTION FLUSH x; FUNCTION nosuch; FUNCTION; LATENCY RESET; SLOWLOG RESET x; ACL WHOAMI x; MODULE LOAD; MODULE UNLOAD nosuch; MODULE LIST}
    {HELLO 4; HELLO x; HELLO 2 x; HELLO 2 AUTH a; HELLO 2 SETNAME; HELLO 2 SETNAME {a b}; HELLO 2.0; AUTH x; AUTH a b c; AUTH nosuch x; RESET x; PING a b}
    {COMMAND INFO nosuch get nosuch ping object|encoding; COMMAND GETKEYS nosuch a; COMMAND GETKEYS get; COMMAND GETKEYS mset a b c; COMMAND GETKEYS client list; COMMAND DOCS nosuch}
    {COMMAND LIST FILTERBY x; COMMAND LIST FILTERBY MODULE x; COMMAND LIST FILTERBY ACLCAT x; COMMAND x; COMMAND COUNT x; COMMAND GETKEYSANDFLAGS object freq k; COMMAND GETKEYSANDFLAGS set a b get}
    {DEBUG PROTOCOL push; DEBUG PROTOCOL attrib; DEBUG PROTOCOL verbatim; DEBUG PROTOCOL map; DEBUG PROTOCOL set; DEBUG PROTOCOL double; DEBUG PROTOCOL x; DEBUG PROTOCOL}
    {DEBUG DIGEST-VALUE nosuch; DEBUG DIGEST-VALUE; DEBUG POPULATE x; DEBUG POPULATE -1; DEBUG POPULATE 1 p x; DEBUG POPULATE 1 p -1; DEBUG REPLYBUFFER x 1; DEBUG SLEEP; DEBUG OBJECT nosuch; DEBUG x}
    {WAIT x 0; WAIT 0 x; WAIT 0 -1; WAIT 0 0; SHUTDOWN x; SHUTDOWN SAVE NOSAVE; SHUTDOWN ABORT; SHUTDOWN ABORT NOW; BGSAVE x; SAVE x; LASTSAVE x; TIME x; DBSIZE x}
    {GET; OBJECT; OBJECT x; OBJECT HELP x; OBJECT ENCODING a b; nosuch; nosuch a {b c}; SET; SET a; LCS a b LEN IDX; SETRANGE a 536870912 x; SETRANGE a -1 x; EXPIRE a 9223372036854775807; INFO nosuch}
} {
    foreach version {2 3} { both [conversation $line $version] "RESP$version: $line" }
}

# ---- commands by other names ----
set renames {--rename-command FLUSHALL {} --rename-command GET fetch --rename-command exec run --rename-command CONFIG a-secret-name-of-many-letters --rename-command DEBUG {}}
start $server --store memory --threads 1 {*}$renames
set renamed_varve $port
start redis-server --save {} --dir $root {*}$renames
foreach line {
    {SET a b; GET a; FETCH a; fetch; flushall; FLUSHALL x; debug sleep 0; CONFIG GET timeout; A-Secret-Name-Of-Many-Letters GET timeout; a-secret-name-of-many-letters x; a-secret-name-of-many-letters}
    {MULTI; fetch a; GET a; EXEC; run; MULTI; fetch a; run; MULTI; run x; run; COMMAND INFO get fetch config|get a-secret-name-of-many-letters|get; COMMAND GETKEYS fetch a; COMMAND GETKEYS get a; COMMAND LIST FILTERBY PATTERN flushall}
} {
    foreach version {2 3} {
        set text [conversation $line $version]
        set a [hear $renamed_varve $text]
        set b [hear $port $text]
        expect [expr {$a eq $b}] "renamed, RESP$version: $line" "  here: $a\n  redis-server: $b"
    }
}
foreach {wrong why} {{nosuch x} "No such command" {GET set} "Target command name already exists" {GET} "Bad directive"} {
    expect [catch {exec $server --store memory --port $varve_port --rename-command {*}$wrong} out] "rename-command $wrong is refused"
    expect [string match "*$why*" $out] "with the reason" $out
}

# ---- bytes ----
foreach text [list "PING\r\nSET a b\x00c\r\nPING\r\n" "PI\x00NG\r\n" "*1\r\n\r\n" "*1\r\nPING\r\n" "*1\r\n\$-1\r\n" "*1\r\n\$x\r\n" "*x\r\n" "*1048577\r\n*0\r\nPING\r\n" "*-1\r\nPING\r\n" \
    "PING \"a\r\n" "PING 'a'b\r\n" "PING \"\\x41\\n\\q\" 'b\\'c'\r\n" "\r\n\n  PING\t\"\"  \r\n" "*1\r\n\$4\r\nPINGxx*1\r\n\$4\r\nPING\r\n" "*01\r\n\$4\r\nPING\r\n" "*1\r\n\$04\r\nPING\r\n" \
    "*1\r\n\$536870913\r\n" "QUIT\r\nPING\r\n" "quit a b\r\nPING\r\n" "SET \"\\r\\n\" 'a\r\nPING\r\n" "nosuch \"a\\r\\nb\" \"\\x01\"\r\nPING\r\n" [string repeat x 65537] "*[string repeat 1 65537]" \
    "POST / HTTP/1.1\r\nHost: a\r\n\r\nPING\r\n" "Host: a\r\nPING\r\n" "host:\r\nPING\r\n" "PING\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nPING\r\n"] {
    both $text "bytes [string map {\r {\r} \n {\n} \x00 {\0}} [string range $text 0 60]]"
}

# ---- what counts against which command ----
set asked [resp_pack {CONFIG RESETSTAT}]
foreach c {nosuch OBJECT {OBJECT x} {OBJECT ENCODING} {COMMAND GETKEYS x} {EXEC x} {SET n abc} MULTI {INCR n} EXEC GET MULTI x EXEC} { append asked [resp_pack $c] }
foreach p [list $varve_port $redis_port] {
    hear $p $asked
    set s [resp_connect $p 2]
    lassign [resp_ask $s {INFO commandstats errorstats}] type counts
    regsub -all {usec=\d+,usec_per_call=[\d.]+,} $counts {} counts
    lappend counted [lsort [split [string map {\r {}} $counts] \n]]
    close $s
}
expect [expr {[lindex $counted 0] eq [lindex $counted 1]}] "INFO commandstats errorstats" $counted

# ---- what is a hit, a miss, an access of the key, an expired key ----
proc stats {s} {
    lassign [resp_ask $s {INFO stats}] type text
    foreach name {keyspace_hits keyspace_misses expired_keys} { regexp "$name:(\\d+)" $text all n; lappend out $n }
    return $out
}
proc looked {p} {
    set out {}
    set s [resp_connect $p 2]
    foreach c {{SET k abcd} {SET other x} {DEBUG SET-ACTIVE-EXPIRE 0}} { resp_ask $s $c }
    set payload [lindex [resp_ask $s {DUMP k}] 1]
    foreach c {
        {GET k} {EXISTS k k} {TYPE k} {TTL k} {PEXPIRETIME k} {OBJECT ENCODING k} {OBJECT REFCOUNT k} {OBJECT IDLETIME k} {TOUCH k} {STRLEN k} {GETRANGE k 0 1} {DUMP k} {MGET k k} {GETEX k} {GETEX k EX 100}
        {SET k defg NX} {SET k defg NX GET} {SETNX k defg} {MSETNX k defg z 1} {EXPIRE k 100} {PEXPIREAT k 33177117420000 XX} {PERSIST k} {APPEND k x} {SETRANGE k 0 x} {INCR k} {INCRBYFLOAT k x} {LCS k k} {COPY k zz}
        {COPY other k} {RENAMENX other k} {RENAME k k} {MOVE k 0} {SCAN 0} {KEYS *} {WATCH k} {DEBUG OBJECT k} {DEBUG DIGEST-VALUE k} {GETSET k defg} {RESTORE k 0 x} {UNLINK k} {GETDEL k} {SUBSTR k 0 0} {MSET k defg}
    } {
        foreach state {there missing due} {
            if {$state eq "due" && [lindex $c 0] in {KEYS DEBUG SCAN}} continue ;# these remove nothing there
            foreach d {k zz} { resp_ask $s [list DEL $d] }
            if {$state ne "missing"} { resp_ask $s [list RESTORE k 0 $payload IDLETIME 1000] }
            if {$state eq "due"} {
                resp_ask $s {PEXPIRE k 1}
                resp_ask $s {DEBUG SLEEP 0.003}
            }
            set before [stats $s]
            resp_ask $s $c
            set line [list $c $state]
            foreach a $before b [stats $s] { lappend line [expr {$b - $a}] }
            if {$state eq "there" && $c ni {{INCR k} {INCRBYFLOAT k x}}} {
                set idle [lindex [resp_ask $s {OBJECT IDLETIME k}] 1]
                lappend line [expr {$idle eq "$" ? "gone" : $idle >= 1000 ? "idle" : "used"}]
            }
            lappend out $line
        }
    }
    close $s
    return $out
}
foreach a [looked $varve_port] b [looked $redis_port] { expect [expr {$a eq $b}] "hits, misses, expired, use: $a, with redis-server $b" }
set s [resp_connect $varve_port 2]
resp_ask $s {SET k abcd}
set payload [lindex [resp_ask $s {DUMP k}] 1]
resp_ask $s [list RESTORE k 0 $payload REPLACE IDLETIME 1000]
foreach c {{CLIENT NO-TOUCH on} {GET k} {MGET k} {EXPIRE k 100}} { resp_ask $s $c }
expect [expr {[lindex [resp_ask $s {OBJECT IDLETIME k}] 1] >= 1000}] "under CLIENT NO-TOUCH reads are no accesses"
resp_ask $s {TOUCH k}
expect [expr {[lindex [resp_ask $s {OBJECT IDLETIME k}] 1] < 1000}] "but TOUCH is one"
close $s

# ---- a connection that closes itself has its answer first, on one thread and on two ----
start $server --store memory --threads 2
foreach p [list $varve_port $port $redis_port] {
    foreach form {{CLIENT KILL ID $id SKIPME no} {CLIENT KILL TYPE normal ID $id SKIPME no} {CLIENT KILL $address}} {
        set s [resp_connect $p 2]
        set id [lindex [resp_ask $s {CLIENT ID}] 1]
        lassign [fconfigure $s -sockname] host name own
        set address 127.0.0.1:$own
        puts -nonewline $s [resp_pack [subst $form]][resp_pack PING]
        flush $s
        set heard [read $s]
        expect {$heard eq ":1\r\n" || $heard eq "+OK\r\n"} "$form on [expr {$p == $port ? "two threads" : $p == $redis_port ? "redis-server" : "one thread"}]" $heard
        close $s
    }
}

# ---- without a password ----
foreach p [list $varve_port $redis_port] { hear $p [resp_pack {CONFIG SET requirepass foo}] }
foreach version {2 3} {
    both [resp_pack {EXEC}][resp_pack {HELLO}][resp_pack "HELLO $version"][resp_pack {MULTI}][resp_pack {nosuch}][resp_pack {GET}][resp_pack {EXEC x}][resp_pack {AUTH bar}] "NOAUTH"
    both [resp_pack "HELLO $version AUTH default foo"][resp_pack {PING}][resp_pack {AUTH bar}][resp_pack {PING}][resp_pack {RESET}][resp_pack {PING}] "AUTH, RESET"
}
both [resp_pack {AUTH foo}][resp_pack [list CONFIG SET requirepass "a\x00b"]][resp_pack {RESET}][resp_pack {AUTH a}][resp_pack [list AUTH "a\x00b"]][resp_pack {CONFIG SET requirepass foo}] "a password of any bytes"
done corners
