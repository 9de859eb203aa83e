//! Text for people: columns, sizes, times.

/// Lines of cells below a head. Columns named in `right` (by number) are flush right.
pub(super) fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = lines().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines() {
        let mut shown = String::new();
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            if column > 0 {
                shown.push_str("  ");
            }
            if right.contains(&column) {
                shown.push_str(&format!("{cell:>width$}"));
            } else {
                shown.push_str(&format!("{cell:<width$}"));
            }
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// `1.5 GiB`; below 1 KiB the bytes.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `42s`, `3m 12s`, `5h 3m`, `2d 4h`.
pub(super) fn time(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// What is not known.
pub(super) fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty())
        .unwrap_or_else(|| "-".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [
            vec!["a".to_owned(), "100".to_owned(), String::new()],
            vec!["long".to_owned(), "7".to_owned(), "x".to_owned()],
        ];
        let text = table(&["NAME", "N", "LAST"], &[1], &rows);
        assert_eq!(text, "NAME    N  LAST\na     100\nlong    7  x\n");
    }

    #[test]
    fn figures_are_short() {
        for (value, wanted) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(value), wanted);
        }
        for (value, wanted) in [(0, "0s"), (61, "1m 1s"), (3661, "1h 1m"), (90_000, "1d 1h")] {
            assert_eq!(time(value), wanted);
        }
    }
}
