//! The accounts of `deploy/rabbitmq/accounts`: each service does all of its work with its own (contract §2), and
//! RabbitMQ refuses everything else.

use std::collections::{BTreeMap, BTreeSet};

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, put_type};
use e2e::broker_accounts::BrokerAccounts;
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::process::{Process, http_get};
use e2e::producer::Producer;
use e2e::rabbit_server::Server;
use e2e::raw_producer::{RawMessage, RawProducer};
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use e2e::support::{delete_rejected, republish_rejected, wait_rejected};
use http::Method;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::json;

use crate::Stage;
use crate::http_ingest::set_quotas;

/// A type that is unknown at first.
const LATER: &str = "NOTIFICATION.LATER";
/// The event about a disabled webhook.
const DISABLED: &str = "WEBHOOK.DISABLED";
/// Settings for the nodes of a cluster.
const CLUSTER_CONF: &str = include_str!("../../../deploy/rabbitmq/cluster.conf");
/// Settings for RabbitMQ 3.13 and later.
const MEMBERS_CONF: &str = include_str!("../../../deploy/rabbitmq/members.conf");

on_each_server!(
    each_service_works_with_its_own_account,
    each_account_may_do_its_own_work_and_nothing_else,
    a_service_without_a_permission_is_not_ready_and_says_why,
    a_node_loads_the_accounts_and_creates_no_other,
);

/// The services, the producer and the broker, each with its own account. The harness looks on as `guest`.
struct Guarded {
    stage: Stage,
    accounts: BrokerAccounts,
    broker: PrivateBroker,
}

/// Creates the accounts, and prepares a platform whose services use them. The platform is dropped before its broker.
async fn prepare(server: Server) -> (PrivateBroker, BrokerAccounts, Platform) {
    let broker = PrivateBroker::start_server(server).await;
    let mut platform = Platform::builder().broker(&broker.url()).retries("1s,1s,1s").prepare().await;
    let accounts = BrokerAccounts::draw(&platform.namespace);
    broker.import_definitions(&accounts.definitions_file()).await;
    let url = |account: &str| broker.url_of(&accounts.user(account), &accounts.password(account));
    let Platform { apis, routers, deliverers, .. } = &mut platform;
    for (processes, account) in [(apis, "subscription-api"), (routers, "router"), (deliverers, "deliverer")] {
        processes.iter_mut().for_each(|process| process.set("AMQP_URL", &url(account)));
    }
    (broker, accounts, platform)
}

impl Guarded {
    fn url(&self, account: &str) -> String {
        self.broker.url_of(&self.accounts.user(account), &self.accounts.password(account))
    }

    /// Publishes as the producer's account.
    async fn publish(&self, events: &[Event]) {
        let namespace = &self.stage.platform.namespace;
        let producer = Producer::connect(&self.url("producer"), namespace).await.expect("the broker");
        producer.publish_all(events).await;
    }
}

async fn each_service_works_with_its_own_account(server: Server) {
    let (broker, accounts, mut platform) = prepare(server).await;
    leave_legacy_queue(&platform).await;
    platform.start_all().await;
    let mut guarded = Guarded { stage: Stage::on_platform(platform).await, accounts, broker };
    let (endpoint, webhook) = guarded.stage.create_webhook("/hook").await;

    deliver_after_failures(&guarded, &endpoint, &webhook).await;
    reject_and_republish(&guarded, &endpoint).await;
    restore_lost_queue(&guarded, &endpoint, &webhook).await;
    hold_back_a_backlog(&guarded, &endpoint).await;
    quarantine_expired_events(&mut guarded, &endpoint).await;
    disable_a_webhook(&guarded).await;
    delete_the_webhook(&guarded, &webhook).await;

    let rabbit = guarded.stage.platform.rabbit().await;
    eventually("the queue of earlier versions is gone", WAIT_TIMEOUT, async || {
        rabbit.queue_depth("router").await.map_or(Ok(()), |depth| Err(format!("it holds {depth}")))
    })
    .await;
    for process in guarded.stage.platform.processes_mut() {
        let log = process.read_log();
        let refused: Vec<_> = log.lines().filter(|line| line.contains("ACCESS_REFUSED")).collect();
        assert!(refused.is_empty(), "{}: {refused:#?}", process.name());
    }
}

/// Declares the queue that routers of earlier versions consumed, with a message that no router accepts.
async fn leave_legacy_queue(platform: &Platform) {
    platform.rabbit().await.declare_classic("router").await;
    let connection = connect(platform.amqp_url()).await;
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let queue = format!("{}.router", platform.namespace);
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, b"x", properties).await;
    let _ = sent.expect("a channel").await.expect("a confirm");
}

/// Events of the producer, of the API and of a test; each fails once and is retried. One is redelivered.
async fn deliver_after_failures(guarded: &Guarded, endpoint: &Endpoint, webhook: &Webhook) {
    let brand = &guarded.stage.brand;
    // The message of the queue of earlier versions.
    wait_rejected(&brand.support, 1).await;
    endpoint.answer_each([Reply::status(503), Reply::ok()]);
    let events = Event::sms_batch("acme", 20);
    guarded.publish(&events).await;
    let posted = brand.api.send(Method::POST, "/v1/acme/events", Some(Event::sms("acme").body())).await;
    let _ = posted.expect_status(202);
    brand.send_test(webhook, &json!({"type": SMS})).await;
    endpoint.wait_until("22 events, each twice", WAIT_TIMEOUT, |all| all.len() == 44).await;
    let first = events[0].id();
    brand.wait_delivery_status(webhook, first, "delivered").await;
    let path = brand.webhook_path(webhook, &format!("/events/{first}/redeliver"));
    let _ = brand.api.post(&path, &json!({})).await.expect_status(202);
    endpoint.wait_until("the redelivery", WAIT_TIMEOUT, |all| all.len() == 45).await;
}

/// Rejected messages are listed, republished, counted in the overview and deleted.
async fn reject_and_republish(guarded: &Guarded, endpoint: &Endpoint) {
    let support = &guarded.stage.brand.support;
    let later = Event::new("acme", LATER);
    guarded.publish(std::slice::from_ref(&later)).await;
    wait_rejected(support, 2).await;
    put_type(support, LATER, &json!({"description": "known at last"})).await;
    eventually("the republished event arrives", WAIT_TIMEOUT, async || {
        if endpoint.count_by_event().contains_key(later.id()) {
            return Ok(());
        }
        republish_rejected(support, json!({})).await;
        Err("not yet".to_owned())
    })
    .await;
    wait_rejected(support, 1).await;
    eventually("the overview shows the remaining message", WAIT_TIMEOUT, async || {
        let overview = support.get("/admin/v1/overview").await.expect_status(200).json();
        if overview["rejected"] == 1 { Ok(()) } else { Err(overview.to_string()) }
    })
    .await;
    delete_rejected(support, "").await;
    wait_rejected(support, 0).await;
}

/// The webhook's queue is lost: its next delivery goes through `unrouted`, and the deliverer declares the queue.
async fn restore_lost_queue(guarded: &Guarded, endpoint: &Endpoint, webhook: &Webhook) {
    let queue = format!("webhook.{}", webhook.id);
    let rabbit = guarded.stage.platform.rabbit().await;
    rabbit.delete_queue(&queue).await;
    let event = Event::sms("acme");
    guarded.publish(std::slice::from_ref(&event)).await;
    endpoint.wait_for_event(event.id()).await;
    eventually("the queue is there again", WAIT_TIMEOUT, async || {
        rabbit.queue_depth(&queue).await.map(|_| ()).ok_or_else(|| "it is not".to_owned())
    })
    .await;
}

/// The events over a brand's quota wait in its backlog, and go on when the quota is lifted.
async fn hold_back_a_backlog(guarded: &Guarded, endpoint: &Endpoint) {
    let brand = &guarded.stage.brand;
    set_quotas(brand, &json!({"eventsPerSecond": 1})).await;
    let waiting = async || {
        let shown = brand.support.get("/admin/v1/brands/acme").await.expect_status(200).json();
        shown["waiting"]["events"].as_i64().expect("a number")
    };
    let mut events = Vec::new();
    let publishing = async {
        while waiting().await == 0 {
            let some = Event::sms_batch("acme", 20);
            guarded.publish(&some).await;
            events.extend(some);
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, publishing).await.expect("events wait in the backlog");
    set_quotas(brand, &json!({"eventsPerSecond": null})).await;
    let owed = ids(&events);
    endpoint
        .wait_until("the backlog arrives", WAIT_TIMEOUT, |all| {
            let seen: BTreeSet<_> = all.iter().map(|request| request.event_id()).collect();
            owed.is_subset(&seen)
        })
        .await;
}

/// An event that expires while no router runs goes to the quarantine, and the router rejects it.
async fn quarantine_expired_events(guarded: &mut Guarded, endpoint: &Endpoint) {
    let url = guarded.url("producer");
    let platform = &mut guarded.stage.platform;
    platform.routers[0].terminate().await;
    let event = Event::sms("acme");
    let message = RawMessage::new(event.event_type.as_bytes(), event.body().as_bytes());
    let mut producer = RawProducer::connect(&url, &platform.namespace).await;
    producer.publish(&message.text("expiration", b"1")).await;
    let rabbit = platform.rabbit().await;
    // A probe that the router left behind expires there, too.
    eventually("the event is in the quarantine", WAIT_TIMEOUT, async || {
        match rabbit.queue_depth("quarantine").await {
            Some(1..) => Ok(()),
            depth => Err(format!("{depth:?}")),
        }
    })
    .await;
    platform.routers[0].start();
    platform.routers[0].wait_ready().await;
    let items = wait_rejected(&guarded.stage.brand.support, 1).await;
    assert_eq!(items[0]["reason"], "expired", "{items:?}");
    let after = Event::sms("acme");
    guarded.publish(std::slice::from_ref(&after)).await;
    endpoint.wait_for_event(after.id()).await;
}

/// A webhook that is gone: operators get a notice, and another webhook gets the event about it.
async fn disable_a_webhook(guarded: &Guarded) {
    let stage = &guarded.stage;
    let notices = stage.platform.rabbit().await.bind_queue("notices", "webhook.disabled").await;
    let told = stage.receiver.endpoint("/told");
    stage.brand.create_webhook(told.url(), &[DISABLED]).await;
    let (gone, webhook) = stage.create_webhook("/gone").await;
    gone.always(Reply::status(410));
    guarded.publish(&[Event::sms("acme")]).await;
    let notice = String::from_utf8(notices.next_message().await.body).expect("text");
    assert!(notice.contains(&webhook.id), "{notice}");
    told.wait_until("the event", WAIT_TIMEOUT, |all| all.iter().any(|one| one.field("type") == DISABLED))
        .await;
}

/// The queue of a deleted webhook goes with it.
async fn delete_the_webhook(guarded: &Guarded, webhook: &Webhook) {
    guarded.stage.brand.delete_webhook(webhook).await;
    let rabbit = guarded.stage.platform.rabbit().await;
    eventually("its queue is gone", WAIT_TIMEOUT, async || {
        match rabbit.queue_depth(&format!("webhook.{}", webhook.id)).await {
            None => Ok(()),
            depth => Err(format!("{depth:?}")),
        }
    })
    .await;
}

async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default()).await.expect("the broker")
}

/// Returns the permissions of an account for a name: `c`onfigure, `w`rite and `r`ead. RabbitMQ checks the permission before it looks
/// whether the object exists, so no object is needed.
async fn probe_permissions(connection: &Connection, name: &str) -> String {
    let mut allowed = String::new();
    // An empty name of a queue is the last declared one, and not a name.
    let kinds: &[&str] = if name.is_empty() { &["w"] } else { &["c", "w", "r"] };
    for kind in kinds {
        let channel = connection.create_channel().await.expect("a channel");
        let answer = match *kind {
            "c" => channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.map(|_| ()),
            "w" => {
                channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
                let options = BasicPublishOptions::default();
                let properties = BasicProperties::default();
                match channel.basic_publish(name.into(), "".into(), options, b"x", properties).await {
                    Ok(confirm) => confirm.await.map(|_| ()),
                    Err(error) => Err(error),
                }
            }
            _ => channel.basic_get(name.into(), BasicGetOptions::default()).await.map(|_| ()),
        };
        match answer.map_err(|error| error.to_string()) {
            Err(error) if error.contains("ACCESS_REFUSED") => {}
            Err(error) if !error.contains("NOT_FOUND") => panic!("{kind} {name}: {error}"),
            _ => allowed.push_str(kind),
        }
    }
    allowed
}

/// Names below the namespace, and the permissions of router, deliverer and API.
const EXPECTED: [(&str, [&str; 3]); 16] = [
    ("events", ["cr", "cwr", "cwr"]),
    ("notices", ["c", "cw", "c"]),
    ("deliveries", ["cwr", "cwr", "cwr"]),
    ("rejected", ["cwr", "cwr", "cwr"]),
    ("quarantine", ["cwr", "cwr", "cwr"]),
    ("ingest", ["cwr", "cwr", "cwr"]),
    ("ingest.spare", ["cwr", "cwr", "cwr"]),
    ("unrouted", ["cwr", "cwr", "cwr"]),
    ("probe", ["cwr", "cwr", "cwr"]),
    ("backlog", ["cwr", "c", "c"]),
    ("backlog.acme", ["cwr", "", ""]),
    ("router", ["cwr", "", ""]),
    ("webhook.01F2SFVYVD0H873S2VRT8VQSPM", ["", "cwr", "cw"]),
    ("wait.5s", ["", "cwr", "cwr"]),
    ("events.copy", ["", "", ""]),
    ("other", ["", "", ""]),
];

async fn each_account_may_do_its_own_work_and_nothing_else(server: Server) {
    let broker = PrivateBroker::start_server(server).await;
    // The dot of the namespace stands for itself.
    let accounts = BrokerAccounts::draw("cell.1");
    broker.import_definitions(&accounts.definitions_file()).await;
    for (column, account) in ["router", "deliverer", "subscription-api", "producer"].into_iter().enumerate() {
        let url = broker.url_of(&accounts.user(account), &accounts.password(account));
        let connection = connect(&url).await;
        let mut seen = BTreeMap::new();
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for (name, allowed) in EXPECTED {
            let of_producer = if name == "events" { "w" } else { "" };
            let allowed = allowed.get(column).unwrap_or(&of_producer);
            expected.insert(format!("cell.1.{name}"), (*allowed).to_owned());
        }
        for foreign in ["cell-1.events", "cell.12.events", "x.cell.1.events", "amq.direct", ""] {
            expected.insert(foreign.to_owned(), String::new());
        }
        for name in expected.keys() {
            seen.insert(name.clone(), probe_permissions(&connection, name).await);
        }
        assert_eq!(seen, expected, "{account}");
    }
}

async fn a_service_without_a_permission_is_not_ready_and_says_why(server: Server) {
    let (broker, accounts, mut platform) = prepare(server).await;
    platform.start_all().await;
    let Platform { apis, routers, deliverers, .. } = &mut platform;
    for (process, account) in
        [(&mut apis[0], "subscription-api"), (&mut routers[0], "router"), (&mut deliverers[0], "deliverer")]
    {
        let user = accounts.user(account);
        let granted = accounts.permissions(account);
        for missing in 0..granted.len() {
            process.terminate().await;
            let mut fewer = granted.clone();
            fewer[missing] = "^$".to_owned();
            broker.set_permissions(&user, &fewer).await;
            process.start();
            wait_refused(process).await;
            broker.set_permissions(&user, &granted).await;
            process.wait_ready().await;
        }
    }
}

/// Waits until `/readyz` says that RabbitMQ refuses access.
async fn wait_refused(process: &Process) {
    eventually(&format!("{} names the refusal", process.name()), WAIT_TIMEOUT, async || {
        match http_get(process.ops_address(), "/readyz").await {
            Ok((503, body)) if body.contains("ACCESS_REFUSED") => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
}

async fn a_node_loads_the_accounts_and_creates_no_other(server: Server) {
    let accounts = BrokerAccounts::draw("postrider");
    let members = if server == Server::Installed { "" } else { MEMBERS_CONF };
    let broker =
        PrivateBroker::start_with_accounts(server, &accounts, &format!("{CLUSTER_CONF}\n{members}")).await;
    let users: BTreeSet<_> = broker.list_users().await.into_iter().collect();
    let drawn = ["deliverer", "producer", "router", "subscription-api"].map(|account| accounts.user(account));
    assert_eq!(users, BTreeSet::from(drawn));
}
