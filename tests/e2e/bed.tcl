# What the scripts here share: counting, ports, waiting, servers and their end, the closing line. A script sources this file first and ends with `done`.
#
#   $server    the server under test           $root   a directory that goes when the script ends
#   start      a server on a free port; $port and $pid are those of the newest one
source [file join [file dirname [info script]] .. golden resp.tcl]
set server $env(VARVE_SERVER)
set root [exec mktemp -d /tmp/varve-test-e2e.XXXXXX]
set pass 0
set fail 0
set pids {}

# ok: a condition, or its value. seen: shown when it fails.
proc expect {ok what {seen ""}} {
    if {[uplevel 1 [list expr $ok]]} {
        incr ::pass
        return
    }
    incr ::fail
    puts "failed: $what"
    if {$seen ne ""} { puts $seen }
}

proc free_port {} {
    set s [socket -server {} -myaddr 127.0.0.1 0]
    set port [lindex [fconfigure $s -sockname] 2]
    close $s
    return $port
}

# Waits until the condition is true; gives up after ten seconds.
proc until {condition} {
    for {set i 0} {$i < 1000} {incr i} {
        if {[uplevel 1 [list expr $condition]]} { return 1 }
        after 10
    }
    return 0
}

proc alive {pid} { expr {![catch {exec kill -0 $pid}]} }

# What the newest server answers to redis-cli.
proc ask {args} {
    if {[catch {exec redis-cli -p $::port {*}$args} out]} { return "error: $out" }
    return $out
}

# Of a program and its options. Returns a connection to it; what it says goes to $root/PROGRAM.log.
proc start {program args} {
    set ::port [free_port]
    set ::pid [exec $program {*}$args --port $::port --bind 127.0.0.1 >>& $::root/[file tail $program].log &]
    lappend ::pids $::pid
    if {[until {![catch {resp_connect $::port 2} s] && ![catch {resp_ask $s PING} pong] && $pong eq {+ PONG}}]} { return $s }
    puts "failed: [file tail $program] does not start"
    done [file tail $program]
}

# Waits for the end of a server that was told to end.
proc ended {pid} {
    set ::pids [lsearch -all -inline -not $::pids $pid]
    return [until {![alive $pid]}]
}

proc finish {signal} {
    exec kill -$signal $::pid
    ended $::pid
}

proc done {name} {
    foreach pid $::pids { catch {exec kill $pid} }
    foreach pid $::pids { ended $pid }
    file delete -force $::root
    puts "$name: $::pass passed, $::fail failed"
    exit [expr {$::fail > 0}]
}
