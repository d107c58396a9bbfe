use super::*;

/// Two features that tell the class apart and one that is dead, plus noise.
fn features(labels: &[usize], seed: u64, noise: f32) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    let row = |&label: &usize| {
        let angle = label as f32 * core::f32::consts::TAU / 3.0;
        [100.0 + angle.cos() + noise * random.normal(), 0.01 * (angle.sin() + noise * random.normal()), 7.0]
    };
    labels.iter().flat_map(row).collect()
}

struct Task {
    labels: Vec<usize>,
    validation: Vec<usize>,
    teacher: Vec<f32>,
    students: Vec<(u16, Vec<f32>, Vec<f32>)>,
}

impl Task {
    fn new(parts: &[u16], noise: f32) -> Self {
        let [labels, validation] = [600, 300].map(|n| (0..n).map(|i| i % 3).collect::<Vec<usize>>());
        let teacher = labels.iter().flat_map(|&l| (0..3).map(move |c| if c == l { 6.0 } else { 0.0 })).collect();
        let student = |(seed, &part): (u64, &u16)| {
            (part, features(&labels, seed, noise), features(&validation, 1000 + seed, noise))
        };
        let students = (0..).zip(parts).map(student).collect();
        Self { labels, validation, teacher, students }
    }

    fn students(&self) -> Vec<HeadStudent<'_>> {
        self.students
            .iter()
            .map(|(part, training, validation)| HeadStudent { part: PartId(*part), filters: 3, training, validation })
            .collect()
    }

    fn train(&self, options: &HeadOptions) -> JointHead {
        let targets = HeadTargets {
            labels: &self.labels,
            teacher_logits: &self.teacher,
            validation_labels: &self.validation,
            classes: 3,
        };
        train_head(&self.students(), &targets, options, &mut |_| ()).unwrap()
    }

    fn accuracy(&self, head: &JointHead, present: &[usize]) -> f64 {
        let targets = HeadTargets { labels: &[], teacher_logits: &[], validation_labels: &self.validation, classes: 3 };
        mean_accuracy(&head.students, &head.bias, &self.students(), &targets, &[present.to_vec()])
    }
}

#[test]
fn parts_together_answer_better_than_one_alone() {
    let task = Task::new(&[0, 1, 2], 0.8);
    let head = task.train(&HeadOptions::default());
    let (all, one) = (task.accuracy(&head, &[0, 1, 2]), task.accuracy(&head, &[1]));
    assert!(all > 0.8 && one > 0.5 && all > one, "{all} {one}");
}

#[test]
fn with_part_dropout_a_missing_part_costs_less() {
    let task = Task::new(&[0, 1, 2, 3], 0.8);
    let worst_alone = |q: f32| {
        let head = task.train(&HeadOptions { part_dropout: q, ..HeadOptions::default() });
        (0..4).map(|student| task.accuracy(&head, &[student])).fold(1.0, f64::min)
    };
    let (with, without) = (worst_alone(0.5), worst_alone(0.0));
    assert!(with >= without, "{with} {without}");
}

#[test]
fn students_of_one_part_stand_in_for_each_other() {
    let task = Task::new(&[0, 0, 1], 0.5);
    let head = task.train(&HeadOptions::default());
    let (first, second) = (task.accuracy(&head, &[0, 2]), task.accuracy(&head, &[1, 2]));
    assert!(first > 0.8 && second > 0.8, "{first} {second}");
}

#[test]
fn the_same_seed_gives_the_same_head() {
    let task = Task::new(&[0, 1], 0.5);
    assert_eq!(task.train(&HeadOptions::default()), task.train(&HeadOptions::default()));
}

#[test]
fn folding_the_standardisation_changes_no_answer() {
    let task = Task::new(&[0], 0.5);
    let students = task.students();
    let standard = Standard::new(&students[0]);
    let raw = PartialHead { weight: (0..9_u8).map(f32::from).collect(), constant: vec![1.0, 2.0, 3.0] };
    let folded = standard.fold(&raw.weight, &raw.constant).partial_logits(students[0].training);
    let plain = raw.partial_logits(&standard.apply(students[0].training));
    assert!(folded.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 0.01), "{:?} {:?}", &folded[..3], &plain[..3]);
}

#[test]
fn the_slope_of_the_loss_is_its_finite_difference() {
    let options = HeadOptions::default();
    let (logits, teacher) = ([0.5, -1.0, 2.0], [1.0, 0.0, 3.0]);
    let (_, slope) = loss(&logits, 1, &teacher, &options);
    for class in 0..3 {
        let at = |step: f32| {
            let mut moved = logits;
            moved[class] += step;
            loss(&moved, 1, &teacher, &options).0
        };
        let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!((difference - slope[class]).abs() < 1e-3, "{difference} {}", slope[class]);
    }
}

#[test]
fn combinations_are_all_choices_but_the_empty_one() {
    let mut random = Random::new(0, 0);
    let groups: Vec<Vec<usize>> = vec![vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 7]];
    let all = combinations(&groups, &mut random);
    assert_eq!(all.len(), 80);
    assert!(all.contains(&vec![0, 2, 5]) && !all.contains(&vec![0, 1]));
    let many: Vec<Vec<usize>> = (0..12).map(|part| vec![part]).collect();
    assert_eq!(combinations(&many, &mut random).len(), COMBINATIONS_MAX);
}

#[test]
fn rows_that_do_not_match_are_refused() {
    let task = Task::new(&[0], 0.5);
    let targets = HeadTargets {
        labels: &task.labels[1..],
        teacher_logits: &task.teacher,
        validation_labels: &task.validation,
        classes: 3,
    };
    let refused = train_head(&task.students(), &targets, &HeadOptions::default(), &mut |_| ());
    assert!(matches!(refused, Err(HeadError::Input(_))));
}
