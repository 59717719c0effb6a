//! Tests of the batches and of the judgement of delay queues, without a broker.

use proptest::prelude::*;

use super::*;

fn delivery(bytes: usize) -> WaitingDelivery {
    WaitingDelivery { body: vec![0; bytes], published: oneshot::channel().0 }
}

fn sizes(deliveries: &[WaitingDelivery]) -> Vec<usize> {
    deliveries.iter().map(|delivery| delivery.body.len()).collect()
}

proptest! {
    #[test]
    fn each_delivery_is_in_one_message_in_order_and_no_message_is_too_large(
        expected in prop::collection::vec(1usize..MAX_BATCH_BYTES / 2, 0..20),
    ) {
        let messages = split_into_messages(expected.iter().copied().map(delivery).collect());
        let messages: Vec<Vec<usize>> = messages.iter().map(|message| sizes(message)).collect();
        prop_assert_eq!(messages.concat(), expected);
        for message in &messages {
            prop_assert!(message.len() <= MAX_DELIVERIES);
            prop_assert!(message.len() == 1 || message.iter().sum::<usize>() <= MAX_BATCH_BYTES);
        }
        for pair in messages.windows(2) {
            let is_full = pair[0].len() == MAX_DELIVERIES;
            prop_assert!(is_full || pair[0].iter().sum::<usize>() + pair[1][0] > MAX_BATCH_BYTES);
        }
    }
}

#[test]
fn a_short_delay_waits_for_a_part_of_itself_only() {
    assert_eq!(linger_of(Duration::from_secs(30)), MAX_LINGER);
    assert_eq!(linger_of(Duration::from_secs(1)), MAX_LINGER);
    assert_eq!(linger_of(Duration::from_millis(100)), Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn a_batch_gathers_until_its_deadline() {
    let (open, more) = mpsc::channel(MAX_DELIVERIES);
    let began = Instant::now();
    let sending = async {
        for size in [2, 3] {
            tokio::time::sleep(MAX_LINGER / 4).await;
            open.try_send(delivery(size)).expect("the batch is open");
        }
        tokio::time::sleep(MAX_LINGER).await;
        assert!(open.try_send(delivery(4)).is_err(), "the batch is closed");
    };
    let (gathered, ()) = tokio::join!(gather(delivery(1), more, began + MAX_LINGER), sending);
    assert_eq!(sizes(&gathered), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait_for_its_deadline() {
    let far = Instant::now() + Duration::from_secs(3600);
    let began = Instant::now();
    let (open, more) = mpsc::channel(MAX_DELIVERIES);
    for _ in 1..MAX_DELIVERIES {
        open.try_send(delivery(1)).expect("there is room");
    }
    assert_eq!(gather(delivery(1), more, far).await.len(), MAX_DELIVERIES);
    let (_open, more) = mpsc::channel(MAX_DELIVERIES);
    assert_eq!(gather(delivery(MAX_BATCH_BYTES), more, far).await.len(), 1, "it is full of bytes");
    assert!(began.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_was_added_before_the_batch_closed_goes_with_it() {
    let (open, more) = mpsc::channel(MAX_DELIVERIES);
    // Full by bytes at once, while another delivery is already in the channel.
    open.try_send(delivery(7)).expect("there is room");
    let gathered = gather(delivery(MAX_BATCH_BYTES), more, Instant::now()).await;
    assert_eq!(sizes(&gathered), [MAX_BATCH_BYTES, 7]);
}

#[test]
fn an_outage_counts_from_its_first_answer_and_ends_with_a_good_one() {
    let began = Instant::now();
    let after = |seconds| began + Duration::from_secs(seconds);
    let short = Duration::from_secs(5);
    let long = Duration::from_secs(30);
    let mut outages = Outages::default();
    let mut diagnose = |delay, answer, at| outages.diagnose(delay, answer, after(at));
    assert_eq!(diagnose(short, QueueAnswer::Silent, 0), Diagnosis::Suspect);
    assert_eq!(diagnose(long, QueueAnswer::Silent, 15), Diagnosis::Suspect);
    assert_eq!(diagnose(short, QueueAnswer::Silent, 20), Diagnosis::Lost);
    assert_eq!(diagnose(long, QueueAnswer::Silent, 20), Diagnosis::Suspect, "each queue has its own time");
    assert_eq!(diagnose(long, QueueAnswer::Stores, 25), Diagnosis::Healthy);
    assert_eq!(
        diagnose(long, QueueAnswer::Silent, 40),
        Diagnosis::Suspect,
        "the next outage counts from its own start"
    );
    // A queue that was lost and could not be recreated stays lost.
    assert_eq!(diagnose(short, QueueAnswer::Silent, 25), Diagnosis::Lost);
}

#[test]
fn a_refusing_queue_has_longer_than_a_silent_one() {
    let began = Instant::now();
    let delay = Duration::from_secs(5);
    let mut outages = Outages::default();
    let mut diagnose = |answer, at| outages.diagnose(delay, answer, began + Duration::from_secs(at));
    assert_eq!(diagnose(QueueAnswer::NoReplica, 0), Diagnosis::Suspect);
    assert_eq!(diagnose(QueueAnswer::NoReplica, 119), Diagnosis::Suspect);
    assert_eq!(diagnose(QueueAnswer::NoReplica, 120), Diagnosis::Lost);
}
