//! Money that goes from one account to another, each of which has a lock: two transfers wait for each other.

use kumihimo::Lock;
use kumihimo::model::sync::Arc;

/// An account.
pub struct Account {
    number: u32,
    balance: Lock<i64>,
}

impl Account {
    /// An account with this number and balance.
    pub fn new(number: u32, balance: i64) -> Arc<Account> {
        Arc::new(Account { number, balance: Lock::with_value(balance) })
    }

    /// What is on it.
    pub async fn balance(&self) -> i64 {
        *self.balance.acquire().await
    }
}

/// Locks the account that pays, and then the one that is paid.
pub async fn transfer(from: Arc<Account>, to: Arc<Account>, amount: i64) {
    let mut payer = from.balance.acquire().await;
    let mut payee = to.balance.acquire().await;
    *payer -= amount;
    *payee += amount;
}

/// Locks the account with the lower number first, whoever pays.
pub async fn transfer_repaired(from: Arc<Account>, to: Arc<Account>, amount: i64) {
    let (mut payer, mut payee);
    if from.number < to.number {
        payer = from.balance.acquire().await;
        payee = to.balance.acquire().await;
    } else {
        payee = to.balance.acquire().await;
        payer = from.balance.acquire().await;
    }
    *payer -= amount;
    *payee += amount;
}

#[cfg(test)]
mod tests {
    use kumihimo as asyncio;

    use super::*;

    #[test]
    #[cfg(kumihimo_loom)]
    #[should_panic(expected = "deadlock")]
    fn two_transfers_wait_for_each_other() {
        asyncio::model(|| async {
            let (a, b) = (Account::new(1, 10), Account::new(2, 10));
            let (there, back) = (transfer(a.clone(), b.clone(), 1), transfer(b.clone(), a.clone(), 2));
            let both = asyncio::task_group(async |tg| {
                let _there = tg.create_task(async { Ok(there.await) });
                let _back = tg.create_task(async { Ok(back.await) });
                Ok::<(), ()>(())
            });
            both.await.unwrap();
        });
    }

    #[test]
    fn nobody_waits_for_ever() {
        asyncio::model(|| async {
            let (a, b) = (Account::new(1, 10), Account::new(2, 10));
            let there = transfer_repaired(a.clone(), b.clone(), 1);
            let back = transfer_repaired(b.clone(), a.clone(), 2);
            let both = asyncio::task_group(async |tg| {
                let _there = tg.create_task(async { Ok(there.await) });
                let _back = tg.create_task(async { Ok(back.await) });
                Ok::<(), ()>(())
            });
            both.await.unwrap();
            assert_eq!((a.balance().await, b.balance().await), (11, 9));
        });
    }
}
