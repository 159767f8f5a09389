# Walks: what takes more than one command and its reply. Each returns one line.

proc ask {args} {
    return [resp_ask [link] $args]
}

proc texts {r} {
    set out {}
    foreach e [lindex $r 1] {lappend out [lindex $e 1]}
    return $out
}

# The keys of a whole DSCAN; between pages `script` runs.
proc scan_all {args script} {
    set cursor 0
    set keys {}
    set pages 0
    while 1 {
        set r [ask DSCAN $cursor {*}$args]
        if {[lindex $r 0] eq "-"} {error [lindex $r 1]}
        set cursor [lindex $r 1 0 1]
        lappend keys {*}[texts [lindex $r 1 1]]
        incr pages
        if {$cursor eq "0"} break
        eval $script
    }
    return [list $keys $pages]
}

# DSCAN while documents come, change and go: exactly those of the pinned seq.
proc scan_under_writes {} {
    set want {}
    for {set i 0} {$i < 500} {incr i} {lappend want [format pin:%04d $i]}
    set ::n 0
    lassign [scan_all {COLL pin COUNT 7} {
        incr ::n
        ask DPUT pin:new$::n {{}}
        ask DPUT [format pin:%04d [expr {$::n * 13 % 500}]] {{"changed":1}}
        ask DDEL [format pin:%04d [expr {$::n * 29 % 500}]]
        ask DPUT pin:0000a$::n {{}}
        if {$::n % 10 == 0} {ask DEL [format pin:%04d [expr {$::n * 7 % 500}]]}
    }] keys pages
    return "[llength $keys] keys, [expr {$keys eq $want ? "the pinned ones in order" : "NOT THE PINNED ONES"}], [expr {$pages > 50 ? "many" : "few"}] pages"
}

# The same for the links of one document.
proc links_under_writes {} {
    set want {}
    for {set i 0} {$i < 300} {incr i} {lappend want [format leaf:%04d $i]}
    set cursor 0
    set got {}
    set n 0
    while 1 {
        set r [ask DLINKS hub OUT REL 1 has CURSOR $cursor COUNT 11]
        set cursor [lindex $r 1 0 1]
        foreach l [lindex $r 1 1 1] {lappend got [resp_field $l to]}
        if {$cursor eq "0"} break
        incr n
        ask DUNLINK hub has [format leaf:%04d [expr {$n * 17 % 300}]]
        ask DPUT leaf:x$n {{}}
        ask DLINK hub has leaf:x$n
        ask DLINK hub has [format leaf:%04d [expr {$n * 5 % 300}]] PROPS {{"again":1}}
    }
    return "[llength $got] links, [expr {$got eq $want ? "the pinned ones in order" : "NOT THE PINNED ONES"}]"
}

# The bytes of a long reply, in a file: over a connection of its own, at the speed of a copy.
proc reply_to_file {words} {
    set s [resp_connect $::server(port) $::version]
    resp_send $s $words
    resp_send $s QUIT
    set path $::server(dir)/reply
    set f [open $path wb]
    fcopy $s $f
    close $f
    close $s
    return $path
}

# How many rows, whether depth and seq ascend and each seq comes once, and where it ends.
proc trace_shape {args} {
    return [exec awk {
        { sub(/\r$/, "") }
        NR == 1 && /^-/ { print; exit }
        was == "depth" { depth = substr($0, 2) + 0 }
        was == "seq" {
            seq = substr($0, 2) + 0
            rows++
            if (rows > 1 && (depth < last_depth || (depth == last_depth && seq <= last_seq))) order = "OUT OF ORDER"
            if (seq in seen) order = "TWICE"
            seen[seq] = 1; last_depth = depth; last_seq = seq
        }
        { was = $0 }
        END { if (rows) print rows " rows, " (order ? order : "in order") ", the last at depth " last_depth " seq " last_seq }
    } [reply_to_file $args]]
}

# Another client is answered while a long trace goes on; one that goes away meanwhile does no harm.
proc trace_beside_others {args} {
    set slow [resp_connect $::server(port) $::version]
    resp_send $slow $args
    set begin [clock microseconds]
    ask PING
    set us [expr {[clock microseconds] - $begin}]
    close $slow
    return "PING [expr {$us < 500000 ? "in time" : "LATE: $us us"}], then [lindex [ask PING] 1]"
}

# Rows of an array of maps: the named fields only.
proc fields {names args} {
    set out {}
    foreach row [lindex [ask {*}[expand $args]] 1] {
        set line {}
        foreach n $names {
            set v [resp_field $row $n]
            if {$n eq "commit" && $v ne "nil"} {set v "[lindex $v 0 1]-[lindex $v 1 1]"}
            lappend line $v
        }
        lappend out [join $line /]
    }
    return [join $out { }]
}

# A page of DHISTORY that takes several turns.
proc history_length {args} {
    set r [ask {*}$args]
    return "[llength [lindex $r 1]] rows, first ver [resp_field [lindex $r 1 0] ver], last ver [resp_field [lindex $r 1 end] ver]"
}

# What COMMAND says of every D* command: name, arity, flags, first, last, step, categories.
proc command_rows {} {
    set out {}
    foreach name {dput dget dmget ddel dscan dcolls dasof dhistory dnode dtrace dlink dunlink dlinks dindex dtop dcompact dhead dprove dverify dinfo dsync} {
        set row [lindex [ask COMMAND INFO $name] 1 0 1]
        set line $name
        foreach i {1 2 3 4 5 6} {lappend line [expr {[lindex $row $i 0] in {* ~} ? "([lsort [texts [lindex $row $i]]])" : [lindex $row $i 1]}]}
        lappend out [join $line]
    }
    return [join $out \n]
}

proc fill_pins {} {
    for {set i 499} {$i >= 0} {incr i -1} {ask DPUT [format pin:%04d $i] "{\"i\":$i}"}
    return [lindex [ask DINFO COLL pin] 0]
}

# All pages of DLINKS: from -rel-> to, in order.
proc links_of {args} {
    set cursor 0
    set out {}
    while 1 {
        set r [ask DLINKS {*}[words_of [join [lmap a $args {expr {$a eq "" ? "''" : $a}}]]] CURSOR $cursor]
        if {[lindex $r 0] eq "-"} {return [lindex $r 1]}
        foreach l [lindex $r 1 1 1] {lappend out "[resp_field $l from]-[resp_field $l rel]>[resp_field $l to]"}
        set cursor [lindex $r 1 0 1]
        if {$cursor eq "0"} break
        lappend out /
    }
    return [join $out { }]
}

proc fill_hub {} {
    ask DPUT hub {{}}
    for {set i 299} {$i >= 0} {incr i -1} {
        ask DPUT [format leaf:%04d $i] $i
        ask DLINK hub has [format leaf:%04d $i]
    }
    return filled
}

proc top_walk {coll path order n} {
    set values {}
    foreach row [lindex [ask DTOP $coll $path $order $n] 1] {
        regexp {[0-9]+} [lindex $row 1 1 1] v
        lappend values $v
    }
    set sorted [lsort -integer [expr {$order eq "ASC" ? "-increasing" : "-decreasing"}] $values]
    return "[llength $values] rows, [expr {$values eq $sorted ? "in order" : "OUT OF ORDER"}], [lindex $values 0] to [lindex $values end]"
}

proc compaction_ends {} {
    for {set i 0} {$i < 2000} {incr i} {
        if {[resp_field [ask DCOMPACT STATUS] running] in {0 f}} {return ended}
        after 2
    }
    return "NEVER ENDED"
}

# RFC 9162 in a few lines, over the system's own sha256sum: leaf and inner nodes from their hex digits.
proc sha256 {bytes} {
    set f [open $::server(dir)/bytes wb]
    puts -nonewline $f $bytes
    close $f
    return [lindex [exec sha256sum $::server(dir)/bytes] 0]
}

proc inner {left right} {
    return [sha256 [binary format cH*H* 1 $left $right]]
}

# The root that an inclusion path leads to (section 2.1.3.2).
proc root_of_path {index size leaf path} {
    set fn $index
    set sn [expr {$size - 1}]
    set r $leaf
    foreach p $path {
        if {$sn == 0} {return "path too long"}
        if {$fn % 2 || $fn == $sn} {
            set r [inner $p $r]
            while {$fn % 2 == 0 && $fn != 0} {set fn [expr {$fn >> 1}]; set sn [expr {$sn >> 1}]}
        } else {
            set r [inner $r $p]
        }
        set fn [expr {$fn >> 1}]
        set sn [expr {$sn >> 1}]
    }
    return [expr {$sn == 0 ? $r : "path too short"}]
}

# Writes n documents and checks an inclusion proof of every tenth version, from the bytes of the node up to the root of DHEAD.
proc proofs_hold {n} {
    for {set i 0} {$i < $n} {incr i} {ask DPUT proof:$i $i}
    set head [ask DHEAD]
    set size [resp_field $head size]
    set held 0
    for {set seq 1} {$seq <= $size} {incr seq 10} {
        set p [ask DPROVE INCLUSION seq:$seq SIZE $size]
        set f [open $::server(dir)/raw wb]
        puts -nonewline $f [resp_field $p node]
        close $f
        set leaf [sha256 [binary format cH* 0 [lindex [exec b2sum -l 256 $::server(dir)/raw] 0]]]
        set path {}
        foreach e [resp_field $p path] {lappend path [lindex $e 1]}
        set root [root_of_path [resp_field $p index] $size $leaf $path]
        if {$leaf ne [resp_field $p leaf] || $root ne [resp_field $head root] || $root ne [resp_field $p root]} {return "PROOF OF $seq FAILS"}
        incr held
    }
    return "$held proofs lead to the root of $size"
}

# DSYNC answers a seq on disk that covers everything written.
proc synced {args} {
    set r [ask {*}$args]
    if {[lindex $r 0] ne ":"} {return [show_flat $r]}
    set info [ask DINFO]
    if {[lindex $r 1] < [resp_field $info seq]} {return "[lindex $r 1] is before the log's end"}
    return "on disk up to [expr {[lindex $r 1] == [resp_field $info seq] ? "the log's end" : "elsewhere"}]"
}

# Waits until an expiry has passed, without the key being touched by anything that would log it.
proc wait_gone {key} {
    set at [lindex [ask PEXPIRETIME $key] 1]
    while {[server_ms] < $at} {after 2}
    return gone
}

# Waits until the expiry of a key is a node of the log.
proc expired_in_log {key} {
    for {set i 0} {$i < 2500} {incr i} {
        set r [ask DHISTORY $key COUNT 1]
        if {[resp_field [lindex $r 1 0] op] eq "expire"} {return logged}
        after 2
    }
    return "NEVER LOGGED"
}

# DQUERY page by page, while documents and indexes come and go: the rows of one page that holds all. Returns how many, and over how many pages.
proc query_under_writes {nql count} {
    set whole [resp_field [ask DQUERY $nql COUNT 100000] rows]
    set got {}
    set pages 0
    set more {}
    while 1 {
        set r [ask DQUERY $nql COUNT $count {*}$more]
        if {[lindex $r 0] eq "-"} {error [lindex $r 1]}
        lappend got {*}[resp_field $r rows]
        set cursor [resp_field $r cursor]
        incr pages
        if {$cursor eq "nil"} break
        set more [list CURSOR $cursor]
        ask DPUT q:new$pages {{"n":1,"g":"a"}}
        ask DPUT q:[expr {$pages * 7 % 50}] {{"n":1000}}
        ask DDEL q:[expr {$pages * 3 % 50}]
        switch [expr {$pages % 3}] {
            0 {ask DINDEX DROP q n}
            1 {ask DINDEX CREATE q n; ask DINDEX WAIT q n 5000}
        }
    }
    return "[llength $got] rows, [expr {$got eq $whole ? "the pinned ones in order" : "NOT THE PINNED ONES"}], $pages pages"
}

# Every digit of the newest cursor changed, and every shorter text: none is taken.
proc query_mangled {nql} {
    set cursor $::marks(cursor)
    set taken 0
    for {set i 0} {$i < [string length $cursor]} {incr i} {
        set digit [expr {[string index $cursor $i] eq "0" ? "1" : "0"}]
        foreach bad [list [string replace $cursor $i $i $digit] [string range $cursor 0 $i-1]] {
            if {$bad eq "" || $bad eq "0"} continue
            set r [ask DQUERY $nql CURSOR $bad]
            if {![string match "BADCURSOR *" [lindex $r 1]]} {incr taken}
        }
    }
    return "[string length $cursor] > 40: [expr {[string length $cursor] > 40}], taken $taken"
}

# Names longer than a key can be, in every place where a name stands (K): nothing has such a name, and the server goes on.
proc long_names {bytes} {
    set long "a:[string repeat k [expr {$bytes - 2}]]"
    set out {}
    foreach line [split {DPUT K 1|DGET K|DMGET 1 K|DMPUT 1 K 1 *|DPATCH K MERGE 1|DINCRBY K x 1|DDEL K|DDEL K VALID 1 2|DASOF K 1|DHISTORY K|DTIMELINE K
        DDIFF K 0 head|DREVERT K 0|DREVERT PREFIX K 1 DRYRUN|DNODE key:K|DTRACE key:K|DPROVE INCLUSION key:K|DGET a ASOF tag:K|DTAG SET K|DTAG GET K|DTAG DEL K
        DSCAN 0 COLL K|DSCAN 0 PREFIX K|DLINK a r K|DUNLINK a r K|DUNLINK a K a|DLINKS K|DLINKS a REL 1 K|DLINKS K BOTH ASOF 1|DTRAVERSE K|DTRAVERSE a REL 1 K
        DINDEX CREATE K x|DINDEX DROP K x|DINDEX LIST K|DTOP K x ASC 1|DCOUNT K ASOF 1|DVERIFY KEY K|DRETAIN SET K VERSIONS 1|DRETAIN GET K|DRETAIN DEL K
        DCOMPACT PREFIX K DRYRUN|DCHANGES FROM 0 KEY K|DCHANGES FROM 0 PREFIX K|DINFO KEY K|DINFO COLL K|DPUT a 1 CAUSEDBY 1 key:K|DRUN 1 DHISTORY K} "|\n"] {
        set words {}
        foreach w $line {lappend words [expr {[regexp {^(|key:|tag:)K$} $w] ? "[string range $w 0 end-1]$long" : $w}]}
        set r [ask {*}$words]
        set text [expr {[lindex $r 0] in {"-" ":" "+"} ? "[lindex $r 0][lindex [lindex $r 1] 0]" : [lindex $r 1] eq "" ? "nothing" : [lindex $r 0] eq "nil" ? "nil" : "something"}]
        lappend out "[lindex $line 0] $text"
    }
    return [join $out ", "]
}
