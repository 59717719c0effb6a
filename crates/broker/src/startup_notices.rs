//! What an operator should know about the connection to RabbitMQ.

use lapin::uri::AMQPScheme;
use runtime::startup_notices::{StartupNotice, warn_plain_text};

use crate::settings::BrokerSettings;

/// The user that every RabbitMQ has at first, with the same password.
const DEFAULT_USER: &str = "guest";

impl BrokerSettings {
    /// Returns the notices about these settings.
    #[must_use]
    pub fn startup_notices(&self) -> Vec<StartupNotice> {
        let uris = || self.amqp_url.in_order().map(|(_, node)| &node.uri);
        let plain = uris().filter(|uri| uri.scheme == AMQPScheme::AMQP);
        let hosts = plain.map(|uri| uri.authority.host.as_str());
        let mut notices: Vec<_> =
            warn_plain_text("AMQP_URL", "RabbitMQ", "use amqps:", hosts).into_iter().collect();
        if uris().any(|uri| uri.authority.userinfo.username == DEFAULT_USER) {
            notices.push(StartupNotice::Warning(format!(
                "AMQP_URL: the user {DEFAULT_USER} may do everything in RabbitMQ, and everybody knows its password; \
                 create a user of its own for Postrider"
            )));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Settings {
        #[command(flatten)]
        broker: BrokerSettings,
    }

    fn notices(url: &str) -> Vec<String> {
        let settings = Settings::try_parse_from(["test", "--amqp-url", url]).expect("settings");
        let text = |notice| match notice {
            StartupNotice::Warning(text) | StartupNotice::Note(text) => text,
        };
        settings.broker.startup_notices().into_iter().map(text).collect()
    }

    #[test]
    fn plain_text_to_another_machine_and_the_default_user_are_warned_about() {
        assert!(notices("amqp://us:hush@127.0.0.1/%2f").is_empty());
        assert!(notices("amqps://us:hush@mq.example/%2f").is_empty());
        let plain = notices("amqp://us:hush@mq.example/%2f");
        assert!(
            plain.len() == 1 && plain[0].contains("mq.example") && !plain[0].contains("hush"),
            "{plain:?}"
        );
        let guest = notices("amqp://guest:guest@127.0.0.1/%2f");
        assert!(guest.len() == 1 && guest[0].contains("the user guest"), "{guest:?}");
        assert_eq!(notices("amqp://guest:guest@mq.example/%2f").len(), 2);
    }
}
