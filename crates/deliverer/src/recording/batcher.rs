//! Work that many ask for at once, one at a time, and that is done for many of them in one statement.

use tokio::sync::{mpsc, oneshot};

/// A job, and where its answer goes.
pub(crate) type Job<J, A> = (J, oneshot::Sender<A>);

/// Where jobs are handed in, and answered in the end. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Jobs<J, A>(mpsc::Sender<Job<J, A>>);

impl<J, A> Clone for Jobs<J, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J, A> Jobs<J, A> {
    /// With the end at which they are taken; so many may wait there, beyond, those who ask wait. Whoever takes
    /// them goes on as long as there may be more, and answers each.
    pub(crate) fn new(most_waiting: usize) -> (Self, mpsc::Receiver<Job<J, A>>) {
        let (sender, receiver) = mpsc::channel(most_waiting);
        (Self(sender), receiver)
    }

    /// Hands a job in and waits for its answer.
    pub(crate) async fn ask(&self, job: J) -> A {
        let (sender, answer) = oneshot::channel();
        if self.0.send((job, sender)).await.is_err() {
            unreachable!("the task that takes the jobs runs as long as there is a sender");
        }
        answer.await.unwrap_or_else(|_| unreachable!("each job is answered"))
    }
}

/// Answers jobs in their order.
pub(crate) fn answer<A>(askers: Vec<oneshot::Sender<A>>, answers: Vec<A>) {
    for (asker, answer) in askers.into_iter().zip(answers) {
        // Who asked may have been stopped meanwhile.
        let _ = asker.send(answer);
    }
}
