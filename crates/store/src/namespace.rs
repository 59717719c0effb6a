//! One namespace in the broker for each database.
//!
//! Deliverers divide the webhooks of a database among all deliverers in it. If some of them used another namespace, nobody
//! would consume the queues of the webhooks that they own.

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// Returns the namespace that belongs to the database. The first process decides it.
///
/// # Errors
/// When the database fails.
pub async fn claim_namespace(store: &Store, own: &str) -> Result<String, StoreError> {
    match store.query_opt(sql!("installation/claim_namespace"), &[&own]).await? {
        Some(row) => read(&row, "namespace"),
        None => Ok(own.to_owned()),
    }
}

/// Ends this process when the database belongs to another namespace.
///
/// # Errors
/// When the database fails.
pub(crate) async fn refuse_other(store: &Store, own: &str) -> Result<(), StoreError> {
    let namespace = claim_namespace(store, own).await?;
    if namespace == own { Ok(()) } else { runtime::settings::refuse(&describe_refusal(own, &namespace)) }
}

/// Describes the refusal in a line that names the setting and both namespaces.
fn describe_refusal(own: &str, of_database: &str) -> String {
    format!(
        "setting --namespace (POSTRIDER_NAMESPACE) is not valid: the database of DATABASE_URL belongs to the namespace \
         {of_database}, and this process has {own}; give each namespace a database of its own"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_one_line_with_the_setting_and_both_namespaces() {
        let line = describe_refusal("second", "first");
        assert!(["POSTRIDER_NAMESPACE", "first", "second"].iter().all(|part| line.contains(part)), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
