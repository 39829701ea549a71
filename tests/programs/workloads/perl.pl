# Hashes, regular expressions, sorting, forks and pipes.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);

my ($state, %count, @lines) = (1);

sub number {
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return $state;
}

push @lines, join ' ', map { 'w' . number() % 5000 } 1 .. 12 for 1 .. 20000;
for my $line (@lines) {
    $count{$1}{length $line}++ while $line =~ /(w\d+)/g;
}
my $text = join "\n", map {
    my $word = $_;
    "$word " . join ',', map { "$_=$count{$word}{$_}" } sort keys %{ $count{$word} }
} sort keys %count;
print 'words ', sha256_hex($text), "\n";
(my $changed = $text) =~ s/(\d+)=(\d+)/$2 x ($1 % 7)/ge;
print 'changed ', sha256_hex($changed), "\n";

my $grown = '';
$grown .= chr(97 + number() % 26) x (number() % 40) for 1 .. 100000;
print 'grown ', sha256_hex($grown), "\n";

for my $child (1 .. 8) {
    my $pid = open my $from, '-|';
    die "fork: $!" unless defined $pid;
    if (!$pid) {
        my @sorted = sort { $a cmp $b } map { number() . $child } 1 .. 20000;
        print sha256_hex("@sorted");
        exit 0;
    }
    local $/;
    print "child $child ", <$from>, "\n";
    close $from or die "child: $?";
}
