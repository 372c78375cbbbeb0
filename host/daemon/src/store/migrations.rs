//! The schema, one step after the other, forward only. A step that was released is never changed.

use rusqlite::Connection;

use super::StoreError;

/// Step n brings schema n to n + 1.
const STEPS: &[&str] = &[include_str!("0001_first.sql"), include_str!("0002_prune.sql")];

/// The newest schema that this program knows.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).expect("a handful of steps")
}

fn current(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Refuses a database that a newer program wrote, before anything is changed in it.
pub(super) fn refuse_newer(connection: &Connection) -> Result<(), StoreError> {
    let found = current(connection)?;
    if found > newest() { Err(StoreError::Newer { found, known: newest() }) } else { Ok(()) }
}

/// Runs the steps that are missing; each is one transaction together with its number.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    refuse_newer(connection)?;
    for (step, number) in STEPS.iter().zip(1i64..) {
        if number <= current(connection)? {
            continue;
        }
        let failed = |source| StoreError::Migrate { to: number, source };
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", number).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_the_first_schema_is_brought_forward_with_what_it_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute("UPDATE audit_head SET seq = 7", []).unwrap();
        run(&mut connection).unwrap();
        assert_eq!(current(&connection).unwrap(), newest());
        let kept: i64 = connection.query_row("SELECT seq FROM audit_head", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 7);
        // Again changes nothing.
        run(&mut connection).unwrap();
    }
}
