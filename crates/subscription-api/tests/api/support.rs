//! The harness: an application with its own database, and callers with tokens.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use broker::{BrokerSettings, Link, Publisher, RejectedQueue, Topology};
use clap::Parser;
use domain::webhook::health::HealthRule;
use serde_json::{Value, json};
use store::api::overview::BacklogMeter;
use store::secrets::keyring::SecretKeyring;
use store::{Store, StoreSettings};
use subscription_api::testing::{
    Api, ApiParts, Budgets, EndpointResolver, EventIntake, TokenDirectory, TokenRateLimiter, build_router,
};
use tokio_postgres::{Client, NoTls};
use tower_service::Service;
use uuid::Uuid;

pub(crate) const SUPPORT: &str = "support-token-of-the-tests-0123456789";
pub(crate) const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Zero bytes, because a key in a repository must not be a real secret.
const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const HIGH_RATE: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreSettings,
    #[command(flatten)]
    broker: BrokerSettings,
}

/// An API with a database of its own.
pub(crate) struct TestApi {
    pub(crate) app: Router,
    pub(crate) sql: Client,
    pub(crate) store: Store,
    server: String,
    name: String,
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl TestApi {
    pub(crate) async fn new() -> Self {
        Self::with_rate(HIGH_RATE).await
    }

    pub(crate) async fn with_rate(rate: NonZeroU32) -> Self {
        let server = std::env::var("E2E_DATABASE_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let name = format!("test_{}", Uuid::new_v4().simple());
        connect(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
        let url = format!("{}/{name}", server.rsplit_once('/').expect("a database in the URL").0);
        let store = Store::new(&settings(&url).store, "test");
        store::migrate::migrate_schema(&store, RETENTION).await.expect("migrated");
        let app = app(&url, rate);
        Self { app, sql: connect(&url).await, store, server, name }
    }

    /// Drops the database. A failed test keeps it for inspection.
    pub(crate) async fn drop_database(self) {
        let Self { app, sql, store, server, name } = self;
        drop((app, sql, store));
        connect(&server)
            .await
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .expect("dropped");
    }

    /// Creates another application with the same database, as another replica would be.
    pub(crate) fn another_replica(&self) -> Router {
        app(&self.url(), HIGH_RATE)
    }

    /// Creates another application whose requests wait for locks for as long as for a statement. Without it, a request
    /// ends after a second, which a slow machine needs to get all requests of a test to wait.
    pub(crate) fn patient_replica(&self) -> Router {
        app(&format!("{}?options=-c%20lock_timeout%3D8s", self.url()), HIGH_RATE)
    }

    fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("a database in the URL");
        format!("{server}/{}", self.name)
    }

    pub(crate) fn as_support(&self) -> Caller<'_> {
        self.caller(SUPPORT)
    }

    pub(crate) fn caller(&self, token: &str) -> Caller<'_> {
        Caller { app: &self.app, token: Some(token.to_owned()), header: None }
    }

    pub(crate) fn anonymous(&self) -> Caller<'_> {
        Caller { app: &self.app, token: None, header: None }
    }

    /// Creates a brand with the enabled types and returns a caller with a token of this role.
    pub(crate) async fn brand(&self, id: &str, role: &str, enabled: &[&str]) -> Caller<'_> {
        let support = self.as_support();
        support.post("/admin/v1/brands", &json!({"brandId": id, "name": id})).await.expect(201);
        for pattern in enabled {
            support.put(&format!("/admin/v1/brands/{id}/event-types/{pattern}"), None).await.expect(204);
        }
        self.token(id, role).await
    }

    /// Creates a token of an existing brand and returns a caller with it.
    pub(crate) async fn token(&self, brand: &str, role: &str) -> Caller<'_> {
        let path = format!("/admin/v1/brands/{brand}/tokens");
        let created = self.as_support().post(&path, &json!({"name": "test", "role": role})).await.expect(201);
        self.caller(created["token"].as_str().expect("a token"))
    }

    /// Creates the brand `acme`, which may receive SMS receipts, with a webhook. Returns a caller and the webhook.
    pub(crate) async fn acme(&self) -> (Caller<'_>, Value) {
        let acme = self.brand("acme", "write", &["NOTIFICATION.SMS.RECEIPT"]).await;
        let webhook = acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201);
        (acme, webhook)
    }
}

/// The request body of the example in the integration guide.
pub(crate) fn new_webhook() -> Value {
    json!({"endpoint": "https://public.example/my/webhook/endpoint", "events": ["NOTIFICATION.SMS.RECEIPT"]})
}

/// Creates an application with this database. Its broker is not available, which these tests do not need.
pub(crate) fn app(database_url: &str, rate: NonZeroU32) -> Router {
    let settings = settings(database_url);
    let link = || Link::new(&settings.broker, "test");
    let names = settings.broker.namespace.clone();
    let control = Store::for_control(&settings.store, "test");
    build_router(Api::from(ApiParts {
        store: Store::for_requests(&settings.store, "test"),
        control: control.clone(),
        tokens: TokenDirectory::new(Store::with_connections(&settings.store, "test", 4)),
        budgets: Budgets::new(settings.store.database_pool),
        backlog: BacklogMeter::default(),
        keyring: SecretKeyring::new(&MASTER_KEY.parse().expect("a key")),
        topology: Topology::new(link(), names.clone(), None),
        publisher: Publisher::new(link()),
        intake: EventIntake::new(Uuid::new_v4(), control),
        rejected: RejectedQueue::new(link(), names.clone()),
        names: names.clone(),
        retry_delays: Vec::new(),
        resolver: EndpointResolver::with_lookup("10.1.0.0/16".parse().expect("networks"), look_up_in_test),
        support_token: SUPPORT.parse().expect("a token"),
        rate_limiter: TokenRateLimiter::new(rate),
        retention: RETENTION,
        health: HealthRule::default(),
    }))
}

fn settings(database_url: &str) -> Settings {
    let args = ["test", "--database-url", database_url, "--amqp-url", "amqp://127.0.0.1:1/%2f"];
    Settings::try_parse_from(args).expect("settings")
}

/// Resolves the host names of the endpoints in the tests.
fn look_up_in_test(host: &str) -> Vec<IpAddr> {
    let address = match host {
        "public.example" => "93.184.215.14",
        "inside.example" => "10.0.0.1",
        "allowed.example" => "10.1.0.1",
        _ => return Vec::new(),
    };
    vec![address.parse().expect("an address")]
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// A caller with or without a token.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    app: &'a Router,
    token: Option<String>,
    header: Option<(&'static str, String)>,
}

impl<'a> Caller<'a> {
    pub(crate) fn with_support(app: &'a Router) -> Self {
        Self { app, token: Some(SUPPORT.to_owned()), header: None }
    }
}

impl Caller<'_> {
    /// Returns the same caller at another application.
    pub(crate) fn on<'a>(&self, app: &'a Router) -> Caller<'a> {
        Caller { app, token: self.token.clone(), header: self.header.clone() }
    }

    /// Returns the caller with a further header in each request.
    pub(crate) fn with_header(&self, name: &'static str, value: &str) -> Self {
        Self { header: Some((name, value.to_owned())), ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Option<&Value>) -> Answer {
        self.send(Method::PUT, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let media_type =
            if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        match body {
            Some(body) => self.raw(method, path, Some(media_type), body.to_string()).await,
            None => self.raw(method, path, None, String::new()).await,
        }
    }

    /// Sends any body with any media type.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        media_type: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        if let Some((name, value)) = &self.header {
            request = request.header(*name, value);
        }
        let mut request = request.body(body.into()).expect("a request");
        request.extensions_mut().insert(SocketAddr::from(([192, 0, 2, 1], 1234)));
        let response = self.app.clone().call(request).await.expect("an answer");
        let status = response.status();
        let headers = response.headers().clone();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }

    /// Reads all items of a list, page by page.
    pub(crate) async fn list_all(&self, path: &str, limit: usize) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..1000 {
            let page = self.get(&format!("{path}{joint}limit={limit}{cursor}")).await.expect(200);
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["nextCursor"].as_str() {
                None => return items,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
        panic!("the list {path} does not end");
    }
}

impl Answer {
    /// Returns the body of a response with this status; `Null` if it is empty.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { serde_json::from_str(&self.text).expect("JSON") }
    }

    /// Returns the problem of a response with this status.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> Value {
        let content_type = self.headers.get("content-type").cloned();
        let problem = self.expect(status);
        assert_eq!(content_type.expect("a type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        assert_eq!(problem["errors"].is_array(), status == 422, "{problem}");
        problem
    }

    /// Returns the pointers that a 422 names, sorted and without duplicates.
    #[track_caller]
    pub(crate) fn pointers(self) -> Vec<String> {
        let problem = self.problem(422);
        let errors = problem["errors"].as_array().expect("errors").iter();
        let mut pointers: Vec<_> =
            errors.map(|e| e["pointer"].as_str().expect("a pointer").to_owned()).collect();
        pointers.sort();
        pointers.dedup();
        pointers
    }
}
