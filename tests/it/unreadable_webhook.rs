//! Deliveries of a webhook wait while a deliverer cannot decrypt its secret (runbook,
//! `PostriderWebhooksUnreadable`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::WAIT_TIMEOUT;
use e2e::event::ids;
use e2e::poll::eventually;

use crate::Stage;

#[tokio::test]
async fn deliveries_wait_while_the_master_key_is_wrong() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.terminate().await;
    let right = deliverer.setting("POSTRIDER_MASTER_KEY");
    deliverer.set("POSTRIDER_MASTER_KEY", &STANDARD.encode([7; 32]));
    deliverer.start();
    stage.platform.rabbit().await.delete_queue(&format!("webhook.{}", webhook.id)).await;

    let events = stage.publish_many(20).await;

    // The deliverer has seen these deliveries, and leaves them alone.
    eventually("nothing is unrouted any more", WAIT_TIMEOUT, async || {
        let taken = stage.platform.routers[0].read_metric("postrider_deliveries_queued_total").await;
        let parked = stage.platform.rabbit().await.queue_depth("unrouted").await;
        if taken >= 20.0 && parked == Some(0) { Ok(()) } else { Err(format!("{taken} {parked:?}")) }
    })
    .await;
    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.terminate().await;
    let pending = stage.brand.list_events(&webhook, "status=pending").await;
    assert_eq!(pending.len(), 20, "none was ended");
    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.set("POSTRIDER_MASTER_KEY", &right);
    deliverer.start();

    stage.wait_settled(&webhook, "delivered", &events).await;
    assert!(endpoint.count_by_event().keys().eq(&ids(&events)));
}
