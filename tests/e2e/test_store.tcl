# The golden data directory: a store that an earlier build wrote must open and answer as it did then; the tool must find it whole, before and after.
source [file join [file dirname [info script]] bed.tcl]
set build $env(VARVE_BUILD)
set here [file normalize tests/golden/store]

foreach number {1 2 3} {
    exec tar -C $root -xzf $here/store-$number.tar.gz
    expect [expr {![catch {exec $build/varve verify $root/data} out]}] "the tool finds store $number whole: $out"
    for {set round 1} {$round <= 2} {incr round} {
        start $server --dir $root/data
        exec $here/ask $port $number > $root/answers
        set same [expr {![catch {exec diff $here/store-$number.answers $root/answers} out]}]
        expect $same "store $number, round $round answers as recorded:\n[string range $out 0 2000]"
        ask SHUTDOWN
        ended $pid
    }
    expect [expr {![catch {exec $build/varve verify $root/data} out]}] "and whole again afterwards: $out"
    file delete -force $root/data
}
done store
