//! RabbitMQ as operators run it: a cluster that loses nodes, a length policy, and an account with least
//! privileges. Each scenario runs on the installed RabbitMQ and on RabbitMQ 4.

/// Declares the tests of these scenarios, on either server. nextest lists the tests on RabbitMQ 4 as skipped,
/// because not every machine can create the root that they need; `deploy/test` runs them where it exists.
macro_rules! on_each_server {
    ($($scenario:ident),+ $(,)?) => {
        mod installed {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(e2e::rabbit_server::Server::Installed).await;
            })+
        }
        mod rabbitmq_4 {
            $(#[tokio::test]
            #[ignore = "needs RabbitMQ 4 in a Debian 13 root: E2E_RABBITMQ_4_ROOT"]
            async fn $scenario() {
                super::$scenario(e2e::rabbit_server::Server::rabbitmq_4()).await;
            })+
        }
    };
}

mod accounts;
mod lost_majority;
mod lost_node;
mod node_list;
mod one_node;
mod scene;
