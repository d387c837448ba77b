use core::net::IpAddr;

use proptest::prelude::{any, proptest};

use super::{DomainName, EgressFault, EgressGrant, EgressHost, NameFault};

fn fault(text: &str) -> EgressFault {
    text.parse::<EgressGrant>().expect_err(text)
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).expect(text)
}

#[test]
fn a_grant_is_read_and_written_in_one_form() {
    for (text, canonical) in [
        ("api.github.com:443", "api.github.com:443"),
        ("API.GitHub.com:443", "api.github.com:443"),
        ("*.example.com:443", "*.example.com:443"),
        ("postgres:5432", "postgres:5432"),
        ("xn--bcher-kva.example:443", "xn--bcher-kva.example:443"),
        ("10.0.0.5:5432", "10.0.0.5:5432"),
        ("127.0.0.1:5432", "127.0.0.1:5432"),
        ("[::1]:443", "[::1]:443"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
        ("10.0.0.0/24:5432", "10.0.0.0/24:5432"),
        ("[fd00:1::/64]:80", "[fd00:1::/64]:80"),
    ] {
        assert_eq!(text.parse::<EgressGrant>().expect(text).to_string(), canonical);
    }
}

#[test]
fn what_is_no_grant_says_why() {
    let name = |fault| EgressFault::Name(fault);
    let port = |port: &str| EgressFault::Port { port: port.into() };
    for (text, expected) in [
        ("https://example.com", EgressFault::Url),
        ("example.com:443/path", EgressFault::Url),
        ("example.com", EgressFault::NoPort),
        ("[::1]", EgressFault::NoPort),
        ("example.com:*", EgressFault::AnyPort),
        ("example.com:1-65535", EgressFault::AnyPort),
        ("example.com:0", port("0")),
        ("example.com:+443", port("+443")),
        ("example.com:65536", port("65536")),
        ("example.com:", port("")),
        ("resolver.example:53", EgressFault::DnsPort),
        ("::1:443", EgressFault::Brackets),
        ("[::1:443", EgressFault::Brackets),
        ("localhost:80", EgressFault::Localhost),
        ("*.localhost:80", EgressFault::Localhost),
        ("bücher.example:443", name(NameFault::NotAscii)),
        ("a..example:443", name(NameFault::Empty)),
        (":443", name(NameFault::Empty)),
        ("*:443", name(NameFault::Star)),
        ("a.*.example:443", name(NameFault::Star)),
        ("a*.example:443", name(NameFault::Star)),
        ("example.com.:443", name(NameFault::FinalDot)),
        ("my_host.example:443", name(NameFault::Character)),
        ("-a.example:443", name(NameFault::Character)),
        ("user@example.com:443", name(NameFault::Character)),
        ("evil\0.example.com:443", name(NameFault::Character)),
        ("127.1:80", name(NameFault::Numeric)),
        ("0x7f000001:80", name(NameFault::Numeric)),
        ("2130706433:80", name(NameFault::Numeric)),
        ("10.0.0.256:80", name(NameFault::Numeric)),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
    assert!(matches!(fault("0.0.0.0:80"), EgressFault::Nobody { .. }));
    assert!(matches!(fault("[ff02::1]:80"), EgressFault::Nobody { .. }));
    assert!(matches!(fault("[::ffff:10.0.0.1]:80"), EgressFault::Mapped { .. }));
    assert!(matches!(fault("10.0.0.5/24:80"), EgressFault::HostBits { .. }));
    assert!(matches!(fault("0.0.0.0/0:80"), EgressFault::Wide { .. }));
    assert!(matches!(fault("[::/0]:80"), EgressFault::Wide { .. }));
    assert!(matches!(fault("10.0.0.0/33:80"), EgressFault::Address { .. }));
    assert_eq!(fault(&format!("{}:80", "a.".repeat(127) + "aa")), name(NameFault::Long));
    assert_eq!(fault(&format!("{}.example:80", "a".repeat(64))), name(NameFault::Long));
}

#[test]
fn a_star_covers_what_is_below_and_never_the_name_itself() {
    let host = "*.example.com:443".parse::<EgressGrant>().expect("a grant").host;
    for (asked, covered) in [
        ("a.example.com", true),
        ("a.b.example.com", true),
        ("A.EXAMPLE.com", true),
        ("example.com", false),
        ("badexample.com", false),
        ("a.example.com.evil.net", false),
        ("com", false),
    ] {
        assert_eq!(host.covers_name(&name(asked)), covered, "{asked}");
    }
}

#[test]
fn a_network_covers_its_addresses() {
    let grant = |text: &str| text.parse::<EgressGrant>().expect(text).host;
    let at = |text: &str| text.parse::<IpAddr>().expect(text);
    assert!(grant("10.1.0.0/16:1").covers_address(at("10.1.255.255")));
    assert!(!grant("10.1.0.0/16:1").covers_address(at("10.2.0.0")));
    assert!(!grant("10.1.0.0/16:1").covers_address(at("::ffff:10.1.0.1")));
    assert!(grant("[fd00::/32]:1").covers_address(at("fd00:0:1::")));
    assert!(!grant("10.1.0.1/32:1").covers_address(at("10.1.0.2")));
    assert!(matches!(grant("10.1.0.1:1"), EgressHost::Address(_)));
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_reads_again(text in any::<String>(), tail in ":[0-9]{1,5}") {
        for text in [text.clone(), text + &tail] {
            if let Ok(grant) = text.parse::<EgressGrant>() {
                assert_eq!(grant.to_string().parse::<EgressGrant>(), Ok(grant));
            }
        }
    }
}
