use domain::{Amount, AssetId, Did, OrderId, Total};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// What a limit is counted over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Window {
    /// One installation's payouts of one asset in one UTC day, counted by the day of the decision.
    Daily {
        /// The installation.
        installation: Did,
        /// The asset.
        asset: AssetId,
        /// Days since the Unix epoch.
        day: u64,
    },
    /// All payouts of one order.
    Order {
        /// The order.
        order: OrderId,
    },
}

/// What a decision set aside in one window until the payout is final or void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The window.
    pub window: Window,
    /// How much, in minor units.
    pub amount: Amount,
}

/// How much of a window's limit is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Set aside for payouts that are neither final nor void.
    pub reserved: Total,
    /// Paid out, finally.
    pub spent: Total,
}

impl Budget {
    /// Reserved and spent together.
    pub const fn used(&self) -> u64 {
        self.reserved.get().saturating_add(self.spent.get())
    }

    fn reserve(self, amount: Amount, limit: Total) -> Option<Self> {
        let used = self.used().checked_add(amount.get())?;
        (used <= limit.get()).then_some(())?;
        Some(Self { reserved: self.reserved.plus(amount)?, ..self })
    }

    fn commit(self, amount: Amount) -> Option<Self> {
        Some(Self { reserved: self.reserved.minus(amount)?, spent: self.spent.plus(amount)? })
    }

    fn release(self, amount: Amount) -> Option<Self> {
        Some(Self { reserved: self.reserved.minus(amount)?, ..self })
    }
}

/// All budgets of a tenant.
///
/// **Invariant:** in every window reserved + spent never exceeds the limit given at any reservation, and what was
/// reserved leaves `reserved` exactly once: by [`Budgets::commit`] or [`Budgets::release`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets(OrdMap<Window, Budget>);

impl Budgets {
    /// The budget of a window; an unused one is empty.
    pub fn get(&self, window: &Window) -> Budget {
        self.0.get(window).copied().unwrap_or_default()
    }

    /// Every window in use.
    pub fn iter(&self) -> impl Iterator<Item = (&Window, &Budget)> {
        self.0.iter()
    }

    /// Sets `reservation` aside; `false`, and nothing changed, when the window has not that much left under `limit`.
    #[must_use]
    pub fn reserve(&mut self, reservation: &Reservation, limit: Total) -> bool {
        self.change(&reservation.window, |b| b.reserve(reservation.amount, limit))
    }

    /// Turns a reservation into spending; `false`, and nothing changed, when it is not reserved.
    #[must_use]
    pub fn commit(&mut self, reservation: &Reservation) -> bool {
        self.change(&reservation.window, |b| b.commit(reservation.amount))
    }

    /// Gives a reservation back; `false`, and nothing changed, when it is not reserved.
    #[must_use]
    pub fn release(&mut self, reservation: &Reservation) -> bool {
        self.change(&reservation.window, |b| b.release(reservation.amount))
    }

    /// Forgets daily windows before `day` in which nothing is reserved: no later payout can count there.
    pub fn forget_before(&mut self, day: u64) {
        let past = |w: &Window| matches!(w, Window::Daily { day: d, .. } if *d < day);
        let old: Vec<Window> =
            self.0.iter().filter(|(w, b)| past(w) && b.reserved == Total::ZERO).map(|(w, _)| w.clone()).collect();
        for window in old {
            self.0.remove(&window);
        }
    }

    fn change(&mut self, window: &Window, f: impl FnOnce(Budget) -> Option<Budget>) -> bool {
        let Some(next) = f(self.get(window)) else { return false };
        if next == Budget::default() {
            self.0.remove(window);
        } else {
            self.0.insert(window.clone(), next);
        }
        true
    }
}

impl Serialize for Budgets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}
