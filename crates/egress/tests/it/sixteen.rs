//! The sixteen attempts on a secret that this crate must withstand, as one list. What each tries stands in its test.

use crate::{protocols, secrets};

/// Number, attempt, and the test that makes it.
const ATTEMPTS: [(&str, &str, fn()); 16] = [
    // beyond what the program is told here, `cella-cli`'s `placeholders` searches the memory, environment, arguments and
    // files of a running cell
    (
        "E1",
        "environment and process dump",
        secrets::the_value_takes_the_place_of_the_placeholder_and_the_cell_sees_only_that,
    ),
    ("E2", "the wrong host", secrets::another_host_gets_neither_the_value_nor_the_request),
    ("E3", "Host other than SNI", secrets::whoever_speaks_for_another_host_inside_tls_is_refused),
    (
        "E4",
        "the right SNI at the wrong address",
        secrets::an_address_written_out_under_the_name_of_the_host_gets_the_placeholder_only,
    ),
    ("E5", "CONNECT to an address", secrets::whoever_speaks_for_another_host_inside_tls_is_refused),
    ("E6", "HTTP/2 authority mismatch", secrets::whoever_speaks_for_another_host_inside_tls_is_refused),
    ("E7", "domain fronting", protocols::a_hello_for_another_server_is_refused),
    ("E8", "redirect to a sink", secrets::a_redirect_to_elsewhere_takes_nothing_but_the_placeholder_along),
    ("E9", "placeholder split over segments", secrets::a_placeholder_in_many_small_pieces_is_still_found),
    ("E10", "basic authentication", secrets::basic_authentication_json_and_forms_are_written_as_they_have_it),
    ("E11", "percent-encoded", secrets::a_placeholder_in_another_form_is_refused),
    ("E12", "JSON body", secrets::basic_authentication_json_and_forms_are_written_as_they_have_it),
    ("E13", "reflection in every form", secrets::what_a_server_repeats_in_any_form_becomes_the_placeholder),
    ("E14", "rebinding", secrets::a_name_that_leads_inside_gets_nothing),
    ("E15", "websocket upgrade", secrets::a_websocket_is_refused),
    ("E16", "the placeholder of another cell", secrets::the_placeholder_of_another_cell_is_seen),
];

/// Each of these runs by itself as well; what this shows is that none has lost its test.
#[test]
fn sixteen_attempts_have_a_test_each() {
    for (at, (number, attempt, _test)) in ATTEMPTS.iter().enumerate() {
        assert_eq!(*number, format!("E{}", at + 1), "{attempt}");
    }
}
