"""The fault matrix, row by row, and the tests that play each row. `test_rows.py` keeps it true, the page shows it.

A row is (what happens, what must be true afterwards, tests as "file::start of the name", what is not tried).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row of the matrix."""

    fault: str
    tests: tuple[str, ...]
    untried: str = ""


KILL, OUT, ORDER, PEOPLE = (
    f"faults/test_{name}.py::test_" for name in ("kill_matrix", "outages", "disorder", "recipients")
)
SIM, BUGS = "faults/test_simulation.py::test_no_seed", "faults/test_twenty_bugs.py::test_"
DELIVER, DESK, LINK, PAGES = (
    f"integration/test_{name}.py::test_" for name in ("deliver", "desk", "secure_link", "letter_pages")
)
REST, FAX, DIRECT, WIRE = (f"contract/test_{name}.py::test_" for name in ("fhir_rest", "fax", "direct", "wire"))
BACK = "contract/test_read_back.py::test_"
SMART, TABLES, JUDGE = (f"unit/channels/test_{name}.py::test_" for name in ("smart", "answers", "judge"))

ROWS: dict[str, Row] = {
    "K1": Row("killed before the commit of accept", (f"{KILL}a_submission_killed",)),
    "K2": Row("killed after the commit, before the answer", (f"{KILL}a_submission_killed",)),
    "K3": Row("killed after accept, before anybody is told", (f"{BUGS}13_recorded", f"{KILL}a_submission_killed")),
    "K4": Row(
        "killed while composing",
        (f"{KILL}killed_between", "unit/letters/test_pdf.py::test_the_same_letter"),
        "that the bytes are the same is tested for the letter, not across the kill",
    ),
    "K5": Row("killed after consent was asked, before the attempt row", (f"{KILL}killed_between", SIM)),
    "K6": Row("attempt on record, killed before the first byte", (f"{KILL}killed_between",)),
    "K7": Row("killed with the body half there", (f"{KILL}killed_while_the_recipient", f"{PEOPLE}however_the_ehr")),
    "K8": Row(
        "stored there, the answer never read", (f"{KILL}killed_while_the_recipient", f"{DELIVER}a_doubt_that_nobody")
    ),
    "K9": Row("the answer read, killed before the commit", (f"{KILL}killed_between",)),
    "K10": Row(
        "killed after the commit, before the broker is told", (f"{KILL}killed_between", f"{ORDER}tasks_ten_times")
    ),
    "K11": Row("killed while a receipt is taken in", (f"{KILL}killed_between",)),
    "K12": Row(
        "double click, two people, killed at a resend", (f"{DESK}a_double_click", f"{BUGS}03_one", f"{BUGS}10_a_crash")
    ),
    "K13": Row(
        "killed while keys rotate",
        (
            "faults/test_key_rotation.py::test_killed_again",
            "integration/test_key_rotation.py::test_killed_at_any_commit",
            "unit/security/test_cipher.py::test_after_rotation",
        ),
    ),
    "K14": Row(
        "killed while the schema is migrated",
        (f"{KILL}a_migration_killed", "integration/test_store.py::test_migrating_twice"),
    ),
    "K15": Row("kill -9 at random under load", (f"{KILL}killed_at_random", SIM)),
    "D1": Row(
        "database restarted under load", (f"{OUT}a_database_that_is_stopped", f"{OUT}a_database_that_is_restarted")
    ),
    "D2": Row(
        "database away for long",
        (f"{OUT}a_database_that_is_stopped",),
        "20 s by `make faults`; half an hour: see *Long outages*",
    ),
    "D3": Row(
        "power cut under SQLite", ("faults/test_power_cut.py::test_a_power_cut", f"{KILL}sqlite_is_told_to_wait")
    ),
    "D4": Row("SQLite locked by somebody else", (f"{OUT}a_sqlite_file",)),
    "D5": Row(
        "serialisation errors, deadlocks",
        (f"{ORDER}transactions_that_the_database", "unit/flow/test_together.py::test_what_the_database_undid"),
    ),
    "D6": Row(
        "yesterday's backup restored",
        (
            "e2e/test_restore_drill.py::test_the_drill",
            "integration/test_restore_hold.py::test_what_the_far_side_has_is",
            "integration/test_restore_hold.py::test_what_a_worker_had_in_hand",
        ),
    ),
    "B1": Row("broker restarted", (f"{OUT}a_broker_that_is_stopped",)),
    "B2": Row("broker emptied", (f"{OUT}a_flushed_broker",)),
    "B3": Row(
        "broker away for long",
        (f"{OUT}a_broker_that_is_stopped",),
        "20 s by `make faults`; an hour: see *Long outages*",
    ),
    "B4": Row("tasks doubled and out of order, tenfold", (f"{ORDER}tasks_ten_times", SIM)),
    "B5": Row(
        "a task handed out again during a slow send", (f"{ORDER}a_worker_that_stood_still", f"{ORDER}tasks_ten_times")
    ),
    "B6": Row("a poisonous task", (f"{ORDER}a_poisonous_task",)),
    "F1": Row(
        "disk full",
        (
            f"{OUT}a_full_disk_under_sqlite",
            f"{OUT}a_full_disk_under_postgresql",
            f"{OUT}a_full_disk_under_the_write_ahead_log",
        ),
    ),
    "F2": Row(
        "out of file handles or memory",
        (
            f"{OUT}a_worker_without_a_file_handle",
            "integration/test_restore_hold.py::test_a_process_that_has_used_up",
        ),
        "a process that the kernel kills for its memory is K15",
    ),
    "T1": Row(
        "clock jumps by an hour and a day",
        (
            f"{ORDER}a_clock_that_jumps",
            SIM,
            "integration/test_clock_back.py::test_a_retry",
            "peers/test_smart_at_oidc_provider.py::test_a_clock",
        ),
    ),
    "T2": Row(
        "daylight saving begins and ends",
        (
            "unit/planning/test_clocks.py::test_elapsed_hours_run",
            "unit/planning/test_scenarios.py::test_an_urgent_request_on_the_night",
            "unit/planning/test_scenarios.py::test_a_time_in_the_doubled_hour",
        ),
    ),
    "T3": Row(
        "leap day, year end, 29 February",
        ("unit/planning/test_scenarios.py::test_after_the_eighteenth", f"{ORDER}birthdays_on_the_29th"),
    ),
    "T4": Row(
        "two workers ten minutes apart",
        (f"{ORDER}two_workers_whose_clocks", "integration/test_database_clock.py::test_it_tells"),
    ),
    "R1": Row(
        "refused connection, unknown name",
        ("contract/channel_suite.py::test_a_refused_connection", f"{WIRE}a_refused_connection"),
    ),
    "R2": Row(
        "time-out before and after the body",
        (f"{PEOPLE}however_the_ehr", "contract/channel_suite.py::test_silence_after"),
    ),
    "R3": Row(
        "one byte now and then, an endless answer",
        (
            "contract/channel_suite.py::test_a_byte_now_and_then",
            f"{WIRE}the_whole_exchange",
            f"{REST}a_body_that_drips",
        ),
    ),
    "R4": Row(
        "500, 502, 503, 504",
        (f"{TABLES}each_status", "integration/test_answer_table.py::test_each_answer", f"{PEOPLE}however_the_ehr"),
    ),
    "R5": Row(
        "429 with every kind of Retry-After",
        (f"{TABLES}retry_after", "unit/domain/test_delivery.py::test_the_far_sides_wish", f"{PEOPLE}however_the_ehr"),
    ),
    "R6": Row("success with an error inside", (f"{JUDGE}an_error_in_a_success", f"{PEOPLE}however_the_ehr")),
    "R7": Row("200 with a login page", (f"{JUDGE}a_success_that_proves_nothing", f"{PEOPLE}however_the_ehr")),
    "R8": Row(
        "201 without a location, 204, nothing", (f"{JUDGE}a_success_that_proves_nothing", f"{PEOPLE}however_the_ehr")
    ),
    "R9": Row(
        "bad and revoked certificates, old TLS",
        (
            "peers/test_tls_at_openssl.py::test_a_bad_certificate",
            "peers/test_tls_at_openssl.py::test_a_revoked_certificate",
            "peers/test_direct_at_exim.py::test_a_revoked_certificate",
            "peers/test_tls_at_openssl.py::test_tls_older",
            f"{WIRE}a_certificate_that",
        ),
        "only servers that have a list (CRL) are checked; OCSP is not asked",
    ),
    "R10": Row("redirects", (f"{WIRE}a_redirect", f"{TABLES}a_redirect", f"{PEOPLE}however_the_ehr")),
    "R11": Row(
        "a name that moves to a private address", ("unit/channels/test_outbound.py::test_the_name_is_resolved_once",)
    ),
    "R12": Row(
        "huge, hostile and broken answers",
        (
            f"{WIRE}only_so_much",
            f"{WIRE}too_many_headers",
            "unit/channels/test_hostile_answers.py::test_any_answer_to_a_write",
        ),
    ),
    "R13": Row(
        "stored twice, 409, 412", (f"{TABLES}each_status", f"{FAX}two_faxes_under_one_tag", f"{PEOPLE}however_the_ehr")
    ),
    "R14": Row(
        "a batch answer partly failed, miscounted, out of order",
        (f"{JUDGE}one_entry_that", f"{JUDGE}a_wrong_number", f"{JUDGE}entries_in_another_order"),
    ),
    "R15": Row(
        "the search lags ten minutes behind the write",
        (f"{REST}absent_is_only_said", "integration/test_answer_table.py::test_a_search_that_shows"),
    ),
    "R16": Row("patient not found, two, or another", (f"{REST}nothing_is_posted", f"{REST}without_their_number")),
    "R17": Row(
        "taken, and gone at a later look",
        (f"{BACK}what_is_gone", f"{BACK}a_later_look", f"{DELIVER}what_a_server_took"),
    ),
    "R18": Row(
        "fields silently dropped, or filed in another patient's record",
        (f"{BACK}a_field_that_was", f"{BACK}a_letter_filed", f"{DELIVER}a_letter_filed"),
    ),
    "A1": Row(
        "the token endpoint fails in every way",
        (
            f"{SMART}a_400_after",
            f"{SMART}what_the_token_server",
            f"{SMART}a_refusal_is_not_asked_again",
            f"{SMART}many_waiting",
            f"{DELIVER}a_partner_that_refuses",
        ),
    ),
    "A2": Row("odd lives of tokens", (f"{SMART}odd_lives",)),
    "A3": Row(
        "fewer permissions than asked for",
        (f"{SMART}a_narrower_grant", "peers/test_smart_at_oidc_provider.py::test_a_token_with_fewer"),
    ),
    "A4": Row(
        "our key is not known there, keys rotate",
        (
            "peers/test_smart_at_oidc_provider.py::test_a_key_that_is_not",
            "peers/test_smart_at_oidc_provider.py::test_a_new_key",
            f"{SMART}a_refused_token",
            "integration/test_endpoint_checks.py::test_our_own_key_set",
        ),
    ),
    "A5": Row(
        "a replayed assertion, one that lives too long",
        (
            "peers/test_smart_at_oidc_provider.py::test_an_assertion_is_taken_once",
            "peers/test_smart_at_oidc_provider.py::test_every_token",
            f"{SMART}a_thousand_assertions",
        ),
    ),
    "A6": Row("the token endpoint on another host", (f"{SMART}a_token_endpoint_on", f"{SMART}an_approved_token_host")),
    "M1": Row(
        "no STARTTLS, sign-in refused, 4xx and 5xx at each verb",
        (
            "peers/test_direct_at_exim.py::test_an_edge_that_offers",
            "peers/test_direct_at_exim.py::test_a_wrong_password",
            f"{DIRECT}the_table_has_a_row",
            f"{PEOPLE}a_hisp",
        ),
    ),
    "M2": Row("connection lost after the final dot", (f"{DIRECT}a_message_kept_before", f"{PEOPLE}a_hisp")),
    "M3": Row(
        "notices late, missing, doubled, forged, of others",
        (
            f"{DIRECT}processed_is_news",
            f"{DIRECT}a_late_notice",
            f"{BUGS}01_a_late",
            "peers/test_notices_at_dovecot.py::test_processed_is_news",
            SIM,
        ),
    ),
    "M4": Row(
        "the mailbox away for a day",
        (f"{DIRECT}a_mailbox_that", "peers/test_notices_at_dovecot.py::test_a_mailbox_that_was_away"),
    ),
    "X1": Row(
        "each class of fax failure",
        (f"{FAX}each_end_of_a_call", "unit/channels/test_fax_codes.py::test_each_number", f"{PEOPLE}however_a_fax"),
    ),
    "X2": Row("the gateway queued it and the answer was lost", (f"{FAX}a_fax_queued_before", f"{PEOPLE}however_a_fax")),
    "X3": Row(
        "callbacks forged, replayed, early, never",
        (f"{FAX}a_callback_with_another", f"{FAX}a_callback_about", f"{DELIVER}a_fax_is_proven", SIM),
    ),
    "X4": Row("only some of the pages", ("unit/channels/test_fax_codes.py::test_partial_pages",)),
    "X5": Row(
        "the number edited between two tries",
        ("integration/test_addresses.py::test_a_number_edited", f"{BUGS}16_an_endpoint", f"{DELIVER}a_number_where"),
    ),
    "L1": Row("scanners fetch the link", (f"{PAGES}scanners",)),
    "L2": Row(
        "wrong codes, random tokens",
        (f"{LINK}five_wrong_codes", f"{LINK}random_tokens", f"{LINK}every_closed_link", f"{PAGES}unknown_wrong"),
    ),
    "L3": Row(
        "double submit, back button, two tabs, replay",
        (f"{PAGES}double_submit", f"{PAGES}a_form_of_yesterday", "integration/test_answers.py::test_a_replay"),
    ),
    "L4": Row("expired unopened", (f"{LINK}an_unopened_link",)),
    "L5": Row("consent withdrawn after the notice went", (f"{LINK}consent_withdrawn", f"{PAGES}consent_withdrawn")),
    "Q1": Row(
        "a backlog with a dead and a slow endpoint",
        (f"{DELIVER}one_dead_endpoint", "integration/test_fair_claims.py::test_a_long_queue"),
        "the numbers: docs/performance.md",
    ),
    "Q2": Row("a burst of 1,000 events in 10 s", ("e2e/test_burst.py::test_a_burst",)),
    "Q3": Row("100,000 stored messages", (), "see the run of 100,000 messages below, and docs/performance.md"),
    "I1": Row(
        "fuzzed events",
        ("unit/planning/test_properties.py::test_any_event", "unit/planning/test_properties.py::test_any_body"),
    ),
    "I2": Row("same id, other content", (f"{BUGS}11_an_amendment", "unit/api/test_events.py::test_the_same_version")),
    "I3": Row("an older dose change comes late", (f"{DELIVER}an_older_dose_change", SIM)),
    "I4": Row(
        "corrected or withdrawn while it is sent",
        (
            f"{DELIVER}an_amendment_after",
            f"{LINK}a_correction_ends",
            "integration/test_amended_in_time.py::test_a_record_entered_in_error",
            "integration/test_amended_in_time.py::test_a_letter_that_leaves",
            "integration/test_side_by_side.py::test_an_amendment",
            SIM,
        ),
    ),
    "C1": Row(
        "consent withdrawn at every moment before the send",
        (
            f"{ORDER}consent_that_ends_after",
            f"{ORDER}consent_that_ends_while",
            f"{DELIVER}consent_that_ends_between",
            SIM,
        ),
    ),
    "C2": Row("consent for one of the two recipients", (f"{DELIVER}a_recipient_without_consent",)),
    "C3": Row("consent cannot be asked", (f"{ORDER}consent_that_cannot_be_asked",)),
    "S1": Row(
        "every route, every role",
        ("unit/console/test_guards.py::test_each_role", "unit/api/test_access.py::test_every_closed_route"),
    ),
    "S2": Row(
        "what belongs to others",
        ("unit/api/test_events.py::test_another_sources", "unit/console/test_pages.py::test_a_document_of_another"),
    ),
    "S3": Row("a dump of the database is searched", ("integration/test_canary.py::test_no_patient_data",)),
    "S4": Row(
        "a line of evidence changed or removed",
        ("integration/test_verify.py::test_a_changed_line", "integration/test_verify.py::test_a_removed_line"),
    ),
    "S5": Row(
        "a flipped bit, rows swapped",
        ("unit/security/test_cipher.py::test_no_single_flipped", "unit/security/test_cipher.py::test_a_value_moved"),
    ),
}
