//! Requests that are sent again.

use bytes::Bytes;

use super::*;
use crate::limits::{ERROR_BODY_BYTES, STALL, TRIES};

#[tokio::test]
async fn each_passing_status_is_tried_again() {
    for status in [429, 500, 502, 503, 529] {
        let bench = Bench::new([Reply::status(status, None), saying("Done.")]);
        assert_eq!(bench.run().await.outcome, completed("Done."), "{status}");
        assert_eq!(bench.sleeps(), [1]);
        let requests = bench.model.requests.lock().unwrap();
        assert_eq!(requests[0].body, requests[1].body);
        assert_eq!([requests[0].attempt, requests[1].attempt], [1, 2]);
    }
}

#[tokio::test]
async fn lasting_statuses_are_reported_at_once_with_the_provider_s_words() {
    for status in [301, 400, 401, 403, 404, 413, 501] {
        let bench = Bench::new([Reply::status(status, None)]);
        let reason = format!("the model answered with status {status}: busy");
        assert_eq!(bench.run().await.outcome, Outcome::Failed { reason });
        assert!(bench.sleeps().is_empty());
    }
}

#[tokio::test]
async fn five_tries_and_no_more() {
    let fails = |times| (0..times).map(|_| Reply::status(503, None));
    let bench = Bench::new(fails(TRIES - 1).chain([saying("Done.")]));
    assert_eq!(bench.run().await.outcome, completed("Done."));
    assert_eq!(bench.sleeps(), [1, 2, 4, 8]);

    let bench = Bench::new(fails(TRIES));
    let reason = "the model answered with status 503: busy (after 5 tries)".to_owned();
    assert_eq!(bench.run().await.outcome, Outcome::Failed { reason });
    assert_eq!(bench.sleeps(), [1, 2, 4, 8]);
}

#[tokio::test]
async fn retry_after_is_obeyed_up_to_its_bound_and_reported_above() {
    let bench = Bench::new([Reply::status(429, Some("30")), saying("Done.")]);
    assert_eq!(bench.run().await.outcome, completed("Done."));
    assert_eq!(bench.sleeps(), [30]);

    let bench = Bench::new([Reply::status(429, Some("31"))]);
    assert!(matches!(bench.run().await.outcome, Outcome::Failed { reason } if reason.contains("wait 31 s")));
    assert!(bench.sleeps().is_empty());
}

#[tokio::test]
async fn a_pause_is_obeyed_in_each_of_its_spellings() {
    for (headers, sleeps) in [
        (&[("retry-after-ms", "2500")][..], [2]),
        (&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"), ("date", "Fri, 31 Dec 1999 23:59:29 GMT")], [30]),
    ] {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let bench = Bench::new([Reply::Http { status: 429, headers, chunks: vec![], stalls: false }, saying("Done.")]);
        assert_eq!(bench.run().await.outcome, completed("Done."));
        assert_eq!(bench.sleeps(), sleeps);
    }
}

#[tokio::test]
async fn tools_that_are_refused_beside_reasoning_are_sent_again_without_it_and_at_once() {
    let refused =
        br#"{"error":{"message":"Function tools with reasoning_effort are not supported","param":"reasoning_effort"}}"#;
    let refused =
        || Reply::Http { status: 400, headers: vec![], chunks: vec![Ok(Bytes::from_static(refused))], stalls: false };
    let said = Bytes::from_static(
        b"data: {\"choices\":[{\"delta\":{\"content\":\"Done.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    );
    let mut bench = Bench::new([refused(), Reply::ok(said)]).tool(echo());
    bench.task.protocol = crate::model::Protocol::OpenAi;
    assert_eq!(bench.run().await.outcome, completed("Done."));
    assert!(bench.sleeps().is_empty());
    let mut bench = Bench::new([refused(), refused()]).tool(echo());
    bench.task.protocol = crate::model::Protocol::OpenAi;
    assert!(matches!(bench.run().await.outcome, Outcome::Failed { .. }), "a second refusal stands");
}

#[tokio::test]
async fn a_stream_cut_broken_or_silent_is_tried_again_and_leaves_no_half_answer() {
    let whole = turn("Done.", &[], "end_turn");
    let half = || whole.slice(..whole.len() / 2);
    let http = |end: Option<TransportError>, stalls| {
        let chunks = [Ok(half())].into_iter().chain(end.map(Err)).collect();
        Reply::Http { status: 200, headers: vec![], chunks, stalls }
    };
    let broken = || TransportError::Broken("reset".to_owned());
    let stall = STALL.as_secs();
    for (reply, words, sleeps) in [
        (http(None, false), "the model's stream was cut", vec![1]),
        (http(Some(broken()), false), "the connection to the model broke: reset", vec![1]),
        (http(None, true), "the model sent nothing for 300 s", vec![stall, 1]),
        (Reply::Error(broken()), "the connection to the model broke: reset", vec![1]),
        (Reply::Hang, "the model sent nothing for 300 s", vec![stall, 1]),
    ] {
        let bench = Bench::new([reply, Reply::ok(whole.clone())]);
        assert_eq!(bench.run().await.outcome, completed("Done."));
        assert_eq!(bench.sleeps(), sleeps, "{words}");
        assert!(
            bench.events().iter().any(|event| matches!(event, Event::Retry { reason, .. } if reason == words)),
            "{words}"
        );
        assert_eq!(bench.journal.entries().len(), 2, "one turn, begun once and ended once");
    }
}

/// Through the transport, at every split point: what the loop makes of a stream does not depend on how it arrives.
#[tokio::test]
async fn every_fixture_runs_at_every_split_point_of_its_first_2_kib() {
    for fixture in crate::model::tests::FIXTURES {
        let bytes = Bytes::from_static(fixture.bytes());
        for at in 0..bytes.len().min(2048) {
            let chunks = vec![Ok(bytes.slice(..at)), Ok(bytes.slice(at..))];
            let reply = Reply::Http { status: 200, headers: vec![], chunks, stalls: false };
            let mut bench = Bench::new([reply]);
            bench.task.protocol = fixture.protocol;
            bench.task.max_turns = 1;
            bench.run().await;
            let entries = bench.journal.entries();
            let Entry::TurnEnd(end) = &entries[1] else { panic!("{entries:?}") };
            let expected = (fixture.answer)();
            assert_eq!((&end.message, &end.stop), (&expected.message, &expected.stop), "{} at {at}", fixture.name);
            assert_eq!(end.usage, expected.usage, "{} at {at}", fixture.name);
        }
    }
}

#[tokio::test]
async fn an_error_body_is_read_up_to_its_bound() {
    for (extra, read) in [(0, ERROR_BODY_BYTES), (1, ERROR_BODY_BYTES)] {
        let chunks = vec![Ok(Bytes::from(vec![b'e'; ERROR_BODY_BYTES + extra]))];
        let bench = Bench::new([Reply::Http { status: 400, headers: vec![], chunks, stalls: false }]);
        let Outcome::Failed { reason } = bench.run().await.outcome else { panic!("a 400 is a failure") };
        assert_eq!(reason.len(), "the model answered with status 400: ".len() + read);
    }
}

#[tokio::test]
async fn a_page_or_a_document_instead_of_a_stream_is_reported_at_once() {
    for (kind, words) in [
        ("text/html; charset=utf-8", "the model answered with a page, not with a stream: wrong"),
        ("application/json", "the model answered with a document, not with a stream: wrong"),
    ] {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let chunks = vec![Ok(Bytes::from_static(br#"{"error":{"message":"wrong"}}"#))];
        let bench = Bench::new([Reply::Http { status: 200, headers, chunks, stalls: false }]);
        assert_eq!(bench.run().await.outcome, Outcome::Failed { reason: words.to_owned() });
    }
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    let chunks = vec![Ok(turn("Done.", &[], "end_turn"))];
    let bench = Bench::new([Reply::Http { status: 200, headers, chunks, stalls: false }]);
    assert_eq!(bench.run().await.outcome, completed("Done."));
}

#[tokio::test]
async fn a_long_text_comes_in_pieces() {
    use crate::limits::TEXT_DELTA_BYTES;
    for (bytes, events) in [(TEXT_DELTA_BYTES, 1), (TEXT_DELTA_BYTES + 1, 2)] {
        let bench = Bench::new([saying(&"x".repeat(bytes))]);
        bench.run().await;
        assert_eq!(kinds(&bench.events()).iter().filter(|kind| **kind == "text_delta").count(), events);
    }
}
