# The golden data directory: a store that an earlier build wrote must open and answer as it did then; the tool must find it whole, before and after.
set build $env(VARVE_BUILD)
set here [file normalize tests/golden/store]
set dir [exec mktemp -d]
set pass 0
set fail 0
proc expect {ok what} { global pass fail; if {$ok} { incr pass } else { incr fail; puts "failed: $what" } }

foreach number {1 2 3} {
    exec tar -C $dir -xzf $here/store-$number.tar.gz
    expect [expr {![catch {exec $build/varve verify $dir/data} out]}] "the tool finds store $number whole: $out"
    for {set round 1} {$round <= 2} {incr round} {
        set s [socket -server {} -myaddr 127.0.0.1 0]
        set port [lindex [fconfigure $s -sockname] 2]
        close $s
        set pid [exec $env(VARVE_SERVER) --port $port --dir $dir/data >& $dir/log &]
        for {set i 0} {$i < 1000} {incr i} {
            if {![catch {exec redis-cli -p $port PING} out] && $out eq "PONG"} break
            after 10
        }
        exec $here/ask $port $number > $dir/answers
        set same [expr {![catch {exec diff $here/store-$number.answers $dir/answers} out]}]
        expect $same "store $number, round $round answers as recorded:\n[string range $out 0 2000]"
        catch {exec redis-cli -p $port SHUTDOWN}
        for {set i 0} {$i < 1000 && ![catch {exec kill -0 $pid}]} {incr i} { after 10 }
    }
    expect [expr {![catch {exec $build/varve verify $dir/data} out]}] "and whole again afterwards: $out"
    file delete -force $dir/data
}
file delete -force $dir
puts "store: $pass passed, $fail failed"
exit [expr {$fail > 0}]
