use stigmer_egress::{Configured, EgressError, Pin, Reach, Target};
use stigmer_policy::Rule;

use super::support::*;

#[tokio::test]
async fn a_listed_address_answers_and_its_neighbours_are_refused() {
    let (server, heads) = answers(OK).await;
    let door = egress(&Table::default());
    let reach = reach(&[("127.0.0.1", server.port())]);
    let response = door.send(&reach, get(&format!("http://{server}/a?b=c"))).await.unwrap();
    assert_eq!(response.extensions().get::<Pin>(), Some(&Pin::Address(server)));
    assert_eq!(response.into_body().collect().await.unwrap(), "ok");
    assert!(heads.lock().unwrap()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"));

    let port = server.port();
    for url in [format!("http://127.0.0.2:{port}/"), format!("http://[::1]:{port}/"), "http://127.0.0.1:1/".to_owned()]
    {
        let error = door.send(&reach, get(&url)).await.unwrap_err();
        assert!(error.denial().is_some(), "{url}: {error:?}");
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_off_the_list_is_never_resolved() {
    let table = Table::of(&[&["127.0.0.1"]]);
    let door = egress(&table);
    let (server, _) = answers(OK).await;
    let port = server.port();
    let listed = reach(&[("*.example.com", port), ("api.example.org", port), ("127.0.0.1", port)]);
    for host in ["example.com", "example.org", "evil-api.example.org", "api.example.org.evil.net", "xexample.com"] {
        let error = door.send(&listed, get(&format!("http://{host}:{port}/"))).await.unwrap_err();
        let EgressError::NotListed { denial } = error else { panic!("{host}: {error:?}") };
        assert_eq!(denial.rule, Rule::HostNotListed);
    }
    let off = door.send(&Reach::default(), get("https://api.example.org/")).await.unwrap_err();
    assert_eq!(off.denial().unwrap().rule, Rule::NetworkOff);
    assert_eq!(table.asked(), Vec::<String>::new(), "not even a question left");

    door.send(&listed, get(&format!("http://api.example.org:{port}/"))).await.unwrap();
    door.send(&listed, get(&format!("http://A.b.EXAMPLE.com.:{port}/"))).await.unwrap();
    assert_eq!(table.asked(), ["api.example.org", "a.b.example.com"]);
}

#[tokio::test]
async fn private_places_in_every_literal_form() {
    let table = Table::of(&[&["127.0.0.1"]]);
    let door = egress(&table);
    let listed = reach(&[("api.example.com", 80), ("*.example.net", 80)]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "[64:ff9b::a00:1]",
        "[fe80::1]",
        "0.0.0.0",
        "localhost",
        "x.localhost",
    ] {
        let error = door.send(&listed, get(&format!("http://{host}/"))).await.unwrap_err();
        assert!(error.denial().is_some(), "{host}: {error:?}");
    }
    assert_eq!(table.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_listed_name_that_leads_inside_is_refused_whatever_stands_beside() {
    for answer in [
        &["127.0.0.1"][..],
        &["10.1.2.3"],
        &["169.254.169.254"],
        &["fd00:ec2::254"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::a9fe:a9fe"],
        &["93.184.215.14", "127.0.0.1"],
        &["::1", "93.184.215.14"],
    ] {
        let door = egress(&Table::of(&[answer]));
        let error = door.send(&reach(&[("api.example.com", 80)]), get("http://api.example.com/")).await.unwrap_err();
        let EgressError::PrivateAddress { denial } = &error else { panic!("{answer:?}: {error:?}") };
        assert_eq!(denial.rule, Rule::PrivateAddress);
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    let (server, _) = answers(OK).await;
    let table = Table::of(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let door = egress(&table);
    let listed = reach(&[("rebind.example", server.port()), ("127.0.0.1", server.port())]);
    let url = format!("http://rebind.example:{}/", server.port());
    let response = door.send(&listed, get(&url)).await.unwrap();
    assert_eq!(response.extensions().get::<Pin>(), Some(&Pin::Address(server)));
    assert_eq!(table.asked().len(), 1, "one look per connection");
    // The second look leads elsewhere, and is judged anew.
    assert!(matches!(door.send(&listed, get(&url)).await, Err(EgressError::PrivateAddress { .. })));
}

#[tokio::test]
async fn a_typed_endpoint_may_be_private_but_not_link_local() {
    let (server, _) = answers(OK).await;
    let port = server.port();
    let url = format!("http://models.lan:{port}/");
    let mut listed = reach(&[("models.lan", port)]);
    let lan = egress(&Table::of(&[&["127.0.0.1"]]));
    assert!(matches!(lan.send(&listed, get(&url)).await, Err(EgressError::PrivateAddress { .. })));
    listed.configured = Some(Configured { host: "models.lan".to_owned(), port, typed: false });
    assert!(matches!(lan.send(&listed, get(&url)).await, Err(EgressError::PrivateAddress { .. })));
    listed.configured = Some(Configured { host: "models.lan".to_owned(), port, typed: true });
    lan.send(&listed, get(&url)).await.unwrap();
    for metadata in ["169.254.169.254", "fe80::1", "fd00:ec2::254"] {
        let door = egress(&Table::of(&[&[metadata]]));
        assert!(matches!(door.send(&listed, get(&url)).await, Err(EgressError::PrivateAddress { .. })), "{metadata}");
    }
}

#[tokio::test]
async fn a_name_without_addresses_and_a_closed_port_are_named() {
    let door = egress(&Table::default());
    let error = door.send(&reach(&[("gone.example", 80)]), get("http://gone.example/")).await.unwrap_err();
    assert!(matches!(&error, EgressError::Resolve { name, .. } if name == "gone.example"), "{error:?}");
    assert!(error.is_transient() && error.hint().is_some());

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        door.send(&reach(&[("127.0.0.1", closed.port())]), get(&format!("http://{closed}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), format!("could not connect to `{closed}`"));
    assert!(Target::parse(&format!("http://{closed}/")).is_ok());
}
