# A family as a loadable module: a server that was linked without strings gets them by MODULE LOAD, with everything they do elsewhere.
set server $env(VARVE_BUILD)/tests/server-without-string
set module $env(VARVE_BUILD)/modules/string.so
set dir [exec mktemp -d]
set pass 0
set fail 0

proc expect {ok what} {
    global pass fail
    if {$ok} { incr pass } else { incr fail; puts "failed: $what" }
}
proc ask {args} { global port; if {[catch {exec redis-cli -p $port {*}$args} out]} { return "error: $out" }; return $out }

set s [socket -server {} -myaddr 127.0.0.1 0]
set port [lindex [fconfigure $s -sockname] 2]
close $s
set pid [exec $server --port $port --dir $dir/data --enable-module-command yes >& $dir/log &]
for {set i 0} {$i < 1000 && [ask PING] ne "PONG"} {incr i} { after 10 }

expect [string match "*unknown command*" [ask SET k v]] "there are no strings before"
expect [expr {[ask DPUT d {{}}] ne ""}] "other families are there"
expect [string match "*Error loading*" [ask MODULE LOAD /nonexistent.so]] "a file that is not there is refused"
expect [string match "*Error loading*" [ask MODULE LOAD /lib/x86_64-linux-gnu/libm.so.6]] "a library that is no family is refused"
expect [expr {[ask MODULE LOAD $module] eq "OK"}] "the module loads"
expect [string match "*string*" [ask MODULE LIST]] "MODULE LIST shows it"
expect [expr {[ask SET k v] eq "OK"}] "SET works"
expect [expr {[ask APPEND k w] eq "2"}] "APPEND works"
expect [expr {[ask GET k] eq "vw"}] "GET works"
expect [expr {[ask INCR n] eq "1"}] "INCR works"
expect [string match "*APPEND*" [string toupper [ask COMMAND LIST]]] "COMMAND knows its commands"
expect [expr {[ask DASOF k seq:2] eq "v"}] "its keys have a history"
expect [string match "*rror*" [ask MODULE LOAD $module]] "a second time is refused"
expect [string match "*rror*" [ask MODULE UNLOAD nothing]] "an unknown name is refused"
expect [expr {[ask MODULE UNLOAD string] eq "OK"}] "the module unloads"
expect [string match "*unknown command*" [ask GET k]] "its commands are gone"
expect [expr {[ask MODULE LOAD $module] eq "OK" && [ask GET k] eq "vw"}] "loaded again it finds its data"

catch {exec redis-cli -p $port SHUTDOWN}
for {set i 0} {$i < 1000 && ![catch {exec kill -0 $pid}]} {incr i} { after 10 }
file delete -force $dir
puts "module: $pass passed, $fail failed"
exit [expr {$fail > 0}]
