# What Doxygen reads for a header: perl docs/doxygen_filter.pl <file>. Lines keep their numbers.
# docs/reference.md says which symbols get their sentence here, and which are left out.
use strict;
use warnings;

# Doxygen makes no links to concepts.
sub concept_link {
    my ($name) = @_;
    my $page = $name =~ s/::/_1_1/gr;
    return "<a href=\"conceptescqrs_1_1$page.html\">$name</a>";
}

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

    if ($line =~ m{^ */// .* describes? it\.$}) {
        $line =~ s{`(?:escqrs::)?([\w:]+)`}{concept_link($1)}ge;
    }

    my $sentence = '';
    if ($line =~ /^ *friend .* operator(==|<=>)\(/) {
        $sentence = 'Compares the values.';
    } elsif ($line =~ /^ *[^(~]*\([^)]*&\)( noexcept)? = default;/) {
        $sentence = 'Copies or moves every member.';
    } elsif ($error && $line =~ /^ *(explicit )?\Q$error\E\(/) {
        $sentence = 'Makes the text and the members from the arguments.';
    }
    if ($sentence && $previous !~ m{^ *///(?! \@\})}) { $line =~ s{^( *)}{$1/** $sentence */ } }
    print $line;
    $previous = $line;
}
