use super::*;
use crate::jails::Jails;
use crate::request::Approve;
use crate::workshop::Parts;

struct World {
    folder: tempfile::TempDir,
    prepare: LocalPrepare,
}

fn world(level: Level) -> World {
    let folder = tempfile::tempdir().unwrap();
    let person_home = folder.path().join("person");
    std::fs::create_dir(&person_home).unwrap();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    let home = Home::open(person_home.join(".stigmer")).unwrap();
    let person = Person {
        home: person_home.canonicalize().unwrap(),
        environment: BTreeMap::new(),
        stigmer_home: home.path().to_owned(),
        executable: std::env::current_exe().unwrap(),
    };
    let jails = Arc::new(Jails::new(person.clone()).unwrap());
    let parts = Parts { home: home.clone(), person: person.clone(), jails, level, compatibility: 1 };
    let workshop = Arc::new(Workshop::new(parts).unwrap());
    World { folder, prepare: LocalPrepare { home, person, workshop, level, missing: Vec::new() } }
}

fn request(world: &World) -> RunRequest {
    let workspace = world.folder.path().join("work");
    crate::supervisor::tests::request(&workspace, Approve::Auto)
}

#[tokio::test]
async fn work_names_the_same_folders_as_the_policy_and_no_more_of_the_environment_than_commands_get() {
    let world = world(Level::Base);
    let mut request = request(&world);
    let variable = |name: &str, value: &str| EnvVar { name: name.to_owned(), value: value.to_owned() };
    request.command_env = vec![variable("LANG", "de_DE.UTF-8"), variable("ANTHROPIC_API_KEY", "canary")];
    let id = ExecutionId::new();
    let prepared = world.prepare.prepare(&id, &request).await.unwrap();
    let work = prepared.work;
    assert_eq!(prepared.level, Level::Base);
    assert!(work.scratch.ends_with(&format!("run/{id}/tmp")), "{}", work.scratch);
    let value = |name: &str| work.command_env.iter().find(|it| it.name == name).map(|it| it.value.as_str());
    assert_eq!(value("LANG"), Some("de_DE.UTF-8"));
    assert_eq!(value("ANTHROPIC_API_KEY"), None);
    assert_eq!(value("TMPDIR"), Some(work.scratch.as_str()));
    assert!(!work.protected.is_empty());
    let policy: Policy = serde_json::from_slice(&work.policy).unwrap();
    assert_eq!(policy, prepared.policy);
}

#[tokio::test]
async fn a_dangerous_workspace_is_refused_with_advice_and_a_project_is_not() {
    let world = world(Level::Full);
    let mut asked = request(&world);
    world.prepare.prepare(&ExecutionId::new(), &asked).await.unwrap();
    asked.workspace = "/".to_owned();
    let refused = world.prepare.prepare(&ExecutionId::new(), &asked).await.unwrap_err();
    assert!(refused.message.contains("root of the whole system") && !refused.hint.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn a_skill_is_copied_once_by_its_digest() {
    let world = world(Level::Full);
    let skill = world.folder.path().join("notes");
    std::fs::create_dir(&skill).unwrap();
    std::fs::write(skill.join("SKILL.md"), "---\nname: notes\ndescription: Takes notes\n---\nWrite.\n").unwrap();
    let mut request = request(&world);
    request.skill_dirs = vec![skill.display().to_string()];
    let first = world.prepare.prepare(&ExecutionId::new(), &request).await.unwrap();
    let again = world.prepare.prepare(&ExecutionId::new(), &request).await.unwrap();
    assert_eq!(first.work.skills, again.work.skills);
    let kept = Path::new(&first.work.skills[0].path);
    assert!(kept.starts_with(world.prepare.home.skills()) && kept.join("SKILL.md").is_file());
    request.skill_dirs = vec![world.folder.path().join("work").display().to_string()];
    let refused = world.prepare.prepare(&ExecutionId::new(), &request).await.unwrap_err();
    assert!(refused.message.starts_with("skill `"), "{refused:?}");
}

#[tokio::test]
async fn levels_come_from_the_request_or_the_daemon() {
    let world = world(Level::Base);
    let mut asked = request(&world);
    let level = |asked: &RunRequest| world.prepare.level_of(asked);
    assert_eq!(level(&asked).unwrap(), Level::Base);
    asked.level = "full".to_owned();
    assert_eq!(level(&asked).unwrap(), Level::Full);
    asked.sandbox = "filesystem".to_owned();
    assert!(level(&asked).is_err());
    asked.level = String::new();
    assert_eq!(level(&asked).unwrap(), Level::Filesystem);
    asked.sandbox = "docker".to_owned();
    assert!(level(&asked).is_err());
}

#[tokio::test]
async fn a_policy_that_asks_more_than_is_held_is_refused_by_the_promise() {
    let mut world = world(Level::Full);
    let request = request(&world);
    world.prepare.prepare(&ExecutionId::new(), &request).await.unwrap();
    world.prepare.missing = vec![Layer::Seccomp];
    let refused = world.prepare.prepare(&ExecutionId::new(), &request).await.unwrap_err();
    assert!(refused.message.contains("the promise `") && refused.hint.contains("`seccomp`"), "{refused:?}");
}
