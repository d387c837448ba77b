use super::*;
use crate::raw_json;

fn handle() -> Handle {
    Handle {
        owner: Digest::of_principal("alice"),
        request: Digest::of_request("tools/call", Some(&raw_json(r#"{"name":"x"}"#).unwrap())),
        expires_at_ms: 1_000,
        payload: b"parked:7".to_vec(),
    }
}

fn open(seal: &Seal, sealed: &str, now_ms: u64) -> Result<Handle, SealError> {
    seal.open(sealed, now_ms, handle().owner, handle().request)
}

#[test]
fn a_state_opens_for_its_owner_on_its_request_in_time() {
    let seal = Seal::new([7; 32]);
    let sealed = seal.seal(&handle(), [1; 16]);
    assert_eq!(open(&seal, &sealed, 999), Ok(handle()));
    assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    assert_ne!(sealed, seal.seal(&handle(), [2; 16]));
    let empty = Handle { payload: Vec::new(), ..handle() };
    assert_eq!(open(&seal, &seal.seal(&empty, [1; 16]), 0), Ok(empty));
}

#[test]
fn every_changed_character_is_noticed() {
    let seal = Seal::new([7; 32]);
    let sealed = seal.seal(&handle(), [1; 16]);
    for at in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(matches!(open(&seal, &changed, 0), Err(SealError::Forged | SealError::Malformed)), "at {at}");
    }
    for cut in 0..sealed.len() {
        assert!(open(&seal, &sealed[..cut], 0).is_err());
    }
    assert_eq!(open(&Seal::new([8; 32]), &sealed, 0), Err(SealError::Forged));
    for junk in ["", "!", "é", "AAAA", &"A".repeat(1 << 20)] {
        assert!(open(&seal, junk, 0).is_err());
    }
}

#[test]
fn time_owner_and_request_are_checked() {
    let seal = Seal::new([7; 32]);
    let sealed = seal.seal(&handle(), [1; 16]);
    assert_eq!(open(&seal, &sealed, 1_000), Err(SealError::Expired));
    let mallory = Digest::of_principal("mallory");
    assert_eq!(seal.open(&sealed, 0, mallory, handle().request), Err(SealError::OtherOwner));
    assert_eq!(seal.open(&sealed, 0, handle().owner, mallory), Err(SealError::OtherRequest));
}

#[test]
fn a_retry_has_the_digest_of_its_request_however_it_is_spelled() {
    let digest = |method: &str, params: &str| Digest::of_request(method, Some(&raw_json(params).unwrap()));
    let first = digest(
        "tools/call",
        r#"{"name":"x","arguments":{"a":[1, {"b":2,"c":3}]},"_meta":{"progressToken":1}}"#,
    );
    let retry = digest(
        "tools/call",
        r#"{ "arguments":{"\u0061":[1,{"c":3,"b":2}]},"inputResponses":{"k":{}},"requestState":"s","name":"\u0078" }"#,
    );
    assert_eq!(first, retry);
    for (method, params) in [
        ("prompts/get", r#"{"name":"x","arguments":{"a":[1,{"b":2,"c":3}]}}"#),
        ("tools/call", r#"{"name":"y","arguments":{"a":[1,{"b":2,"c":3}]}}"#),
        ("tools/call", r#"{"name":"x","arguments":{"a":[1,{"b":2,"c":4}]}}"#),
        ("tools/call", r#"{"name":"x","arguments":{"a":[{"b":2,"c":3},1]}}"#),
        ("tools/call", r#"{"name":"x","arguments":{"a":["1",{"b":2,"c":3}]}}"#),
    ] {
        assert_ne!(digest(method, params), first, "{method} {params}");
    }
    assert_eq!(Digest::of_request("m", None), digest("m", "{}"));
    assert_ne!(digest("m", r#"{"a":["x","y"]}"#), digest("m", r#"{"a":["x\",\"y"]}"#));
    assert_ne!(digest("m", r#"{"a":[[],1]}"#), digest("m", r#"{"a":[[1]]}"#));
}

#[test]
fn the_key_is_never_shown() {
    assert_eq!(format!("{:?}", Seal::new([7; 32])), "Seal(key withheld)");
}

#[test]
fn the_tag_is_hmac_sha256() {
    // RFC 4231, test case 1, with the key padded to 32 bytes as HMAC itself would.
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    let tag = Seal::new(key).mac.chain_update(b"Hi There").finalize().into_bytes();
    let hex: String = tag.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

#[test]
fn a_fingerprint_tells_keys_apart_and_is_no_seal() {
    let (one, other) = (Seal::new([7; 32]), Seal::new([8; 32]));
    assert_eq!(one.fingerprint(), Seal::new([7; 32]).fingerprint());
    assert_ne!(one.fingerprint(), other.fingerprint());
    assert_eq!(one.fingerprint().len(), 8);
    let owner = Digest::of_principal("owner");
    assert!(one.open(&one.fingerprint(), 0, owner, owner).is_err());
}
