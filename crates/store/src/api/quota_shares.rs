//! The API processes that take requests of a brand with a limited rate. They share the rate equally.

use std::time::Duration;

use domain::ids::BrandId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word, to_millis};

/// Time after its last renewal until a share ends and the other processes divide it.
pub const SHARE_TIMEOUT: Duration = Duration::from_secs(6);

/// Renews the shares of a process in the rates of these brands. Returns for each brand the number of processes that
/// share its rate, this process included.
///
/// # Errors
/// When the database fails.
pub async fn renew_shares(
    store: &Store,
    instance: Uuid,
    brands: &[BrandId],
) -> Result<Vec<(BrandId, u32)>, StoreError> {
    let ids: Vec<&str> = brands.iter().map(BrandId::as_str).collect();
    let timeout = to_millis(SHARE_TIMEOUT);
    store.execute(sql!("quota_shares/renew"), &[&instance, &ids]).await?;
    store.execute(sql!("quota_shares/remove_ended"), &[&timeout]).await?;
    let rows = store.query(sql!("quota_shares/count"), &[&ids, &timeout]).await?;
    let read_share = |row| {
        let instances: i64 = read(row, "instances")?;
        Ok((read_word(row, "brand_id")?, u32::try_from(instances).unwrap_or(u32::MAX)))
    };
    rows.iter().map(read_share).collect()
}
