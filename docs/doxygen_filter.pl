# What Doxygen reads for a header: perl docs/doxygen_filter.pl <file>. Lines keep their numbers.
# docs/reference.md says which symbols get their sentence here, and which are left out.
use strict;
use warnings;

my %last_line = ('namespace detail {' => '} // namespace detail', 'struct std::hash<' => '};');

open my $file, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
my ($skipped_to, $error, $previous) = ('', '', '');
while (my $line = <$file>) {
    if ($line =~ /^(namespace detail \{|struct std::hash<)/) { $skipped_to = $last_line{$1} }
    if ($skipped_to) {
        print "\n";
        if ($line eq "$skipped_to\n") { $skipped_to = '' }
        next;
    }

    # Doxygen takes an inline namespace for one that is called v0.
    $line =~ s/namespace escqrs::inline v0/namespace escqrs/;

    if ($line =~ /^class (?:\w+ )?(\w+) : public \w*(?:Error|Lost|Refused|Failed)\b/) { $error = $1 }
    if ($line =~ /^\};$/) { $error = '' }

    my $sentence = $line =~ /^ *friend .* operator(==|<=>)\(/               ? 'Compares the values.'
                 : $line =~ /^ *[^(~]*\([^)]*&\)( noexcept)? = default;/     ? 'Copies or moves every member.'
                 : $error && $line =~ /^ *(explicit )?\Q$error\E\(/          ? 'The arguments make the text and the members.'
                 :                                                            '';
    if ($sentence && $previous !~ m{^ *///(?! \@\})}) { $line =~ s{^( *)}{$1/** $sentence */ } }
    print $line;
    $previous = $line;
}
