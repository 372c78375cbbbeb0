use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use super::*;

/// A keyring in memory.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<String, String>>);

impl Store for Memory {
    fn read(&self, entry: &str) -> Result<Option<String>, StoreError> {
        Ok(self.0.lock().unwrap().get(entry).cloned())
    }
    fn write(&self, entry: &str, value: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(entry.to_owned(), value.to_owned());
        Ok(())
    }
    fn delete(&self, entry: &str) -> Result<bool, StoreError> {
        Ok(self.0.lock().unwrap().remove(entry).is_some())
    }
}

/// Hangs in every call until the sender is dropped.
pub(crate) struct Hanging(pub(crate) Mutex<Receiver<()>>);

impl Store for Hanging {
    fn read(&self, _: &str) -> Result<Option<String>, StoreError> {
        let _ = self.0.lock().unwrap().recv();
        Ok(None)
    }
    fn write(&self, _: &str, _: &str) -> Result<(), StoreError> {
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
    fn delete(&self, _: &str) -> Result<bool, StoreError> {
        let _ = self.0.lock().unwrap().recv();
        Ok(false)
    }
}

/// Loses what is written, as a store without a collection does.
struct Forgetful;

impl Store for Forgetful {
    fn read(&self, _: &str) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
    fn write(&self, _: &str, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
    fn delete(&self, _: &str) -> Result<bool, StoreError> {
        Ok(false)
    }
}

fn name() -> SecretName {
    SecretName::new("anthropic").unwrap()
}

#[test]
fn keeps_lists_nothing_and_deletes() {
    let store = Arc::new(Memory::default());
    let keyring = Keyring::new(store.clone(), PATIENCE);
    keyring.probe().unwrap();
    assert!(store.0.lock().unwrap().is_empty(), "the probe leaves nothing behind");
    assert!(keyring.get(&name()).unwrap().is_none());
    keyring.set(&name(), &SecretValue::new("sk-1").unwrap()).unwrap();
    assert_eq!(keyring.get(&name()).unwrap().unwrap().expose(), "sk-1");
    assert!(keyring.delete(&name()).unwrap());
    assert!(!keyring.delete(&name()).unwrap());
}

#[test]
fn a_hanging_keyring_is_given_up_once_and_not_asked_again() {
    let (hold, gate) = sync_channel(1);
    let keyring = Keyring::new(Arc::new(Hanging(Mutex::new(gate))), Duration::from_millis(50));
    assert!(matches!(keyring.probe(), Err(KeyringError::GaveUp { .. })));
    let start = std::time::Instant::now();
    let patient = Keyring { patience: Duration::from_secs(600), ..keyring };
    assert!(matches!(patient.get(&name()), Err(KeyringError::GaveUp { .. })));
    assert!(start.elapsed() < Duration::from_secs(60), "asked again");
    drop::<std::sync::mpsc::SyncSender<()>>(hold);
}

#[test]
fn a_forgetful_keyring_fails_the_probe() {
    assert!(matches!(Keyring::new(Arc::new(Forgetful), PATIENCE).probe(), Err(KeyringError::NotKept)));
}

#[test]
fn an_unusable_entry_is_named_without_its_text() {
    let store = Arc::new(Memory::default());
    store.write("anthropic", "can\0ary").unwrap();
    let error = Keyring::new(store, PATIENCE).get(&name()).unwrap_err();
    assert!(matches!(error, KeyringError::Value { .. }));
    assert!(!format!("{error:?}").contains("ary"));
}
