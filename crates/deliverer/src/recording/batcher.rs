//! Collects requests of many tasks, so that one statement serves a whole batch.
//!
//! A task submits a request and waits for its reply. One background task takes the requests as batches and replies to
//! each; the statement of one batch gives the next one time to grow.

use tokio::sync::{mpsc, oneshot};

/// A request, and the channel for its reply.
pub(crate) type Request<Q, R> = (Q, oneshot::Sender<R>);

/// The end at which tasks submit requests. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Batcher<Q, R>(mpsc::Sender<Request<Q, R>>);

impl<Q, R> Clone for Batcher<Q, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q, R> Batcher<Q, R> {
    /// Creates a batcher and the end at which requests are taken. At most `capacity` requests wait there; beyond, tasks
    /// wait before they submit. The task that takes them runs as long as there is a batcher, and replies to each.
    pub(crate) fn new(capacity: usize) -> (Self, mpsc::Receiver<Request<Q, R>>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), receiver)
    }

    /// Submits a request and waits for its reply.
    pub(crate) async fn submit(&self, request: Q) -> R {
        let (sender, reply) = oneshot::channel();
        if self.0.send((request, sender)).await.is_err() {
            unreachable!("the task that takes the requests runs as long as there is a batcher");
        }
        reply.await.unwrap_or_else(|_| unreachable!("each request gets a reply"))
    }
}

/// Replies to requests in their order.
pub(crate) fn reply_to<R>(senders: Vec<oneshot::Sender<R>>, replies: Vec<R>) {
    for (sender, reply) in senders.into_iter().zip(replies) {
        // The task that submitted the request may have been stopped meanwhile.
        let _ = sender.send(reply);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    /// Replies with the double of each request, and returns the sizes of the batches.
    async fn double_all(mut requests: mpsc::Receiver<Request<u32, u32>>, max_batch: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut waiting = Vec::new();
        while requests.recv_many(&mut waiting, max_batch).await > 0 {
            sizes.push(waiting.len());
            let (numbers, senders): (Vec<u32>, Vec<_>) = waiting.drain(..).unzip();
            reply_to(senders, numbers.iter().map(|number| number * 2).collect());
        }
        sizes
    }

    #[tokio::test]
    async fn every_request_gets_its_own_reply_out_of_few_batches() {
        let (batcher, requests) = Batcher::new(100);
        let doubling = runtime::tasks::spawn_named("test", double_all(requests, 100));
        let replies = join_all((0..50).map(|number| batcher.submit(number))).await;
        assert_eq!(replies, (0..50).map(|number| number * 2).collect::<Vec<u32>>());
        drop(batcher);
        let sizes = doubling.await.expect("no panic");
        assert!(sizes.len() < 50 && sizes.iter().sum::<usize>() == 50, "{sizes:?}");
    }

    #[tokio::test]
    async fn requests_beyond_the_capacity_wait_until_others_are_taken() {
        let (batcher, mut requests) = Batcher::<u32, u32>::new(1);
        let mut first = Box::pin(batcher.submit(1));
        let mut second = Box::pin(batcher.submit(2));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(requests.len(), 1, "the second is not submitted yet");
        let (number, sender) = requests.recv().await.expect("the first");
        reply_to(vec![sender], vec![number * 10]);
        assert_eq!(first.await, 10);
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(requests.recv().await.expect("the second").0, 2);
    }

    #[tokio::test]
    async fn a_task_that_stopped_does_not_disturb_the_replies_of_others() {
        let (batcher, mut requests) = Batcher::<u32, u32>::new(2);
        let stopped = Box::pin(batcher.submit(1)).now_or_never();
        assert!(stopped.is_none());
        let (reply, ()) = tokio::join!(batcher.submit(2), async {
            let mut waiting = Vec::new();
            requests.recv_many(&mut waiting, 2).await;
            let senders = waiting.into_iter().map(|(_, sender)| sender).collect();
            reply_to(senders, vec![10, 20]);
        });
        assert_eq!(reply, 20);
    }
}
