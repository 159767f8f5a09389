# How a reply is written down: the protocol's shape with what differs from run to run replaced.
#   64 hex digits         <h1> <h2> … in the order in which they appear, so that equal hashes keep one name
#   a time of about now   <ms>
#   bytes of a node       <120 bytes>: they hold a random salt
#   durable_seq and such  <n>
#   DQUERY's cursor       <cursor>, which as a word of a later command is the newest one that was shown

set volatile {durable_seq written_seq indexed_seq}

proc show_reset {} {
    array unset ::hash_name
    array unset ::name_hash
}

proc show_hash {hex} {
    if {![info exists ::hash_name($hex)]} {
        set name h[expr {[array size ::hash_name] + 1}]
        set ::hash_name($hex) $name
        set ::name_hash($name) $hex
    }
    return <$::hash_name($hex)>
}

proc show_number {n} {
    if {[string length $n] == 13 && abs($n - [clock milliseconds]) < 7200000} {return <ms>}
    return $n
}

proc show_text {s} {
    if {[regexp {^[0-9a-f]{64}$} $s]} {return [show_hash $s]}
    if {[regexp {[\x00-\x08\x0e-\x1f\x80-\xff]} $s]} {
        if {[string length $s] > 47} {return "<[string length $s] bytes>"}
        binary scan $s H* hex
        return "x'$hex'"
    }
    while {[regexp {[0-9a-f]{64}} $s hex]} {set s [string map [list $hex [show_hash $hex]] $s]}
    while {[regexp {\y1[0-9]{12}\y} $s ms] && [show_number $ms] eq "<ms>"} {set s [string map [list $ms <ms>] $s]}
    if {[string length $s] > 600} {set s "[string range $s 0 99]… ([string length $s] bytes)"}
    return [string map {\n \\n \r \\r} $s]
}

proc is_cursor {before e} {
    return [expr {$before eq "cursor" && [regexp {^[0-9a-f]{40,}$} [lindex $e 1]]}]
}

proc show_flat {r {before ""}} {
    lassign $r type value
    switch -- $type {
        nil {return [expr {$value eq "_" ? "_" : "$value-1"}]}
        ":" {return ":[expr {$before in $::volatile ? "<n>" : [show_number $value]}]"}
        "$" {
            if {[is_cursor $before $r]} {
                set ::marks(cursor) $value
                return "\$<cursor>"
            }
            return "\$[show_text $value]"
        }
        "*" - "~" - ">" {return "$type\[[join [show_elements $value] {, }]\]"}
        "%" {
            set out {}
            foreach {k v} [show_elements $value] {lappend out "$k $v"}
            return "%{[join $out {, }]}"
        }
        default {return "$type[show_text $value]"}
    }
}

proc show_elements {list} {
    set out {}
    set before ""
    foreach e $list {
        lappend out [show_flat $e $before]
        set before [lindex $e 1]
    }
    return $out
}

# Lines of at most 150 characters where brackets allow it.
proc show_lines {r {indent ""}} {
    set flat [show_flat $r]
    lassign $r type value
    if {[string length $flat] + [string length $indent] <= 150 || $type ni {* ~ > %}} {return [list $indent$flat]}
    set out [list "$indent$type[expr {$type eq "%" ? "\{" : "\["}]"]
    if {$type eq "%"} {
        set line "$indent   "
        foreach {k v} [show_pairs $value] {
            if {[string length $line] + [string length "$k $v"] > 150} {
                lappend out $line
                set line "$indent   "
            }
            append line " $k $v,"
        }
        lappend out $line
    } elseif {[llength $value] > 12 && [lindex $value 0 0] eq "$"} {
        set line "$indent   "
        foreach e [show_elements $value] {
            if {[string length $line] + [string length $e] > 150} {
                lappend out $line
                set line "$indent   "
            }
            append line " $e,"
        }
        lappend out $line
    } else {
        foreach e $value {lappend out {*}[show_lines $e "$indent    "]}
    }
    lappend out "$indent[expr {$type eq "%" ? "\}" : "\]"}]"
    return $out
}

proc show_pairs {list} {
    return [show_elements $list]
}
