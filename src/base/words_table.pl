#!/usr/bin/perl
# words_table.pl UnicodeData.txt CaseFolding.txt: prints the C tables of base/words.c.
#
# Two stages each: a page number for every 256 code points, then the distinct pages. A page of word characters is 256 bits; a page of foldings holds what
# to add to a code point. Only perl-base is needed, which every Debian has.
use strict;
use warnings;

my ($data, $folding) = @ARGV;
die "usage: words_table.pl UnicodeData.txt CaseFolding.txt\n" unless defined $folding;
my (%word, %fold);

open(my $in, '<', $data) or die "$data: $!\n";
my $first;
while (<$in>) {
    my ($code, $name, $category) = split /;/;
    next unless defined $category;
    my $c = hex $code;
    if ($name =~ /, First>$/) { $first = $c; next; }
    my $from = $name =~ /, Last>$/ ? $first : $c;
    if ($category =~ /^[LMN]/) { $word{$_} = 1 for $from .. $c; }
}
close $in;

my $version;
open($in, '<', $folding) or die "$folding: $!\n";
while (<$in>) {
    $version = [$1, $2, $3] if !$version && /^# CaseFolding-(\d+)\.(\d+)\.(\d+)\.txt/;
    next unless /^([0-9A-F]+); [CS]; ([0-9A-F]+);/;
    $fold{hex $1} = hex($2) - hex $1;
}
close $in;
die "$folding names no version\n" unless $version;
die "$data or $folding: too few characters\n" unless keys %word > 100000 && keys %fold > 1000;

sub stage {
    my ($name, $type, $page_of) = @_;
    my (@index, %number, @pages);
    for my $p (0 .. 0x10ff) {
        my $page = $page_of->($p);
        unless (exists $number{$page}) { $number{$page} = @pages; push @pages, $page; }
        push @index, $number{$page};
    }
    die "too many pages\n" if @pages > 65535;
    print "static const uint16_t ${name}_page[0x1100] = {\n", join(",", @index), "};\n";
    my $n = () = $pages[0] =~ /,/g;
    printf "static const %s %s[%d][%d] = {\n%s};\n", $type, $name, scalar @pages, $n + 1, join(",\n", map { "{$_}" } @pages);
}

print "/* Made by words_table.pl from the Unicode database: do not edit. */\n";
printf "#define WORDS_TABLE_VERSION (%du << 16 | %du << 8 | %du)\n", @$version;
stage('word_bits', 'uint8_t', sub {
    my $p = shift;
    join ',', map { my $b = $_; my $v = 0; $word{$p * 256 + $b * 8 + $_} and $v |= 1 << $_ for 0 .. 7; $v } 0 .. 31;
});
stage('fold_add', 'int32_t', sub {
    my $p = shift;
    join ',', map { $fold{$p * 256 + $_} // 0 } 0 .. 255;
});
