//! The platform of a scenario: two routers, two deliverers and an API, the victim and the attacker.

use e2e::platform::{Builder, Platform};
use e2e::private_broker::PrivateBroker;
use e2e::process::Process;

use crate::attacker::Attacker;
use crate::size;
use crate::victim::{Reach, Victim};

/// The services, in the order in which they are restarted and reported.
pub(crate) const SERVICES: [Service; 3] = [Service::Api, Service::Router, Service::Deliverer];

/// A service, meaning all its replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Api,
    Router,
    Deliverer,
}

/// Both brands on a running platform. Fields are declared in the order in which they have to be dropped.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) victim: Victim,
    pub(crate) attacker: Attacker,
    pub(crate) platform: Platform,
    _broker: Option<PrivateBroker>,
}

impl Arena {
    /// Starts everything.
    pub(crate) async fn start() -> Self {
        Self::start_with(Platform::builder(), Reach::Kept).await
    }

    /// Starts everything with further settings. A long run has a broker of its own: the shared one may open
    /// too few files for the queues of several hundred webhooks.
    pub(crate) async fn start_with(mut builder: Builder, reach: Reach) -> Self {
        let broker = if size::is_long() { Some(PrivateBroker::start().await) } else { None };
        if let Some(broker) = &broker {
            // By name, which a scenario needs.
            builder = builder.broker(&broker.url().replace("127.0.0.1", "localhost"));
        }
        let platform = builder.routers(2).deliverers(2).without_secret_search().start().await;
        let victim = Victim::create(&platform, reach).await;
        let attacker = Attacker::create(&platform).await;
        Self { victim, attacker, platform, _broker: broker }
    }

    /// Returns the replicas of a service.
    pub(crate) fn replicas(&mut self, service: Service) -> &mut [Process] {
        match service {
            Service::Api => &mut self.platform.apis,
            Service::Router => &mut self.platform.routers,
            Service::Deliverer => &mut self.platform.deliverers,
        }
    }
}
