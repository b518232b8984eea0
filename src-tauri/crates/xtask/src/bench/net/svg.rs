//! Charts over time as SVG: panels below each other with one time axis, lines, steps, ticks and a legend.

use std::fmt::Write as _;

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// From point to point.
    Line,
    /// The same, faint: for what stands beside a more important line.
    Faint,
    /// The same, dotted: for what shares the link.
    Dotted,
    /// Each value holds until the next.
    Step,
}

/// Values over time.
#[derive(Debug, Clone)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// CSS colour.
    pub colour: &'static str,
    /// How it is drawn.
    pub style: Style,
    /// Seconds and value, in order.
    pub points: Vec<(f64, f64)>,
}

/// Series over one scale.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown, with its unit.
    pub title: String,
    /// What is drawn, the first at the bottom.
    pub series: Vec<Series>,
    /// The scale goes from 0 to here at least.
    pub at_least: f64,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 48.0;
const PANEL: f64 = 190.0;
/// Between panels, for the next one's title and legend.
const GAP: f64 = 46.0;
const INK: &str = "#333";
const GRID: &str = "#ddd";

/// The whole picture; `seconds` long.
pub fn chart(title: &str, panels: &[Panel], seconds: f64) -> String {
    let height = TOP + panels.len() as f64 * (PANEL + GAP) + 10.0;
    let mut svg = String::new();
    let out = &mut svg;
    put(
        out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">"#
        ),
    );
    put(out, format_args!(r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#));
    text(out, LEFT, 20.0, "start", 15, INK, title);
    for (place, panel) in panels.iter().enumerate() {
        draw(out, panel, TOP + place as f64 * (PANEL + GAP), seconds);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(out: &mut String, panel: &Panel, top: f64, seconds: f64) {
    let values = panel.series.iter().flat_map(|series| &series.points).map(|(_, value)| *value);
    let step = tick_step(values.filter(|value| value.is_finite()).fold(panel.at_least, f64::max) / 4.0);
    let most = step * 4.0;
    let across = WIDTH - LEFT - RIGHT;
    let bottom = top + PANEL;
    let x = |time: f64| LEFT + across * (time / seconds.max(1e-9)).clamp(0.0, 1.0);
    let y = |value: f64| bottom - PANEL * (value / most).clamp(0.0, 1.0);
    for tick in 0..=4 {
        let value = step * f64::from(tick);
        let at = y(value);
        put(out, format_args!(r#"<path d="M{LEFT} {at:.1}H{:.1}" stroke="{GRID}"/>"#, LEFT + across));
        text(out, LEFT - 6.0, at + 4.0, "end", 11, INK, &format!("{value}"));
    }
    let every = tick_step(seconds / 10.0);
    for tick in 0..=(seconds / every) as usize {
        let time = every * tick as f64;
        put(out, format_args!(r#"<path d="M{:.1} {bottom:.1}v4" stroke="{INK}"/>"#, x(time)));
        text(out, x(time), bottom + 15.0, "middle", 11, INK, &format!("{time}"));
    }
    text(out, LEFT, top - 6.0, "start", 12, INK, &panel.title);
    let mut right = LEFT + across;
    for series in panel.series.iter().rev() {
        text(out, right, top - 6.0, "end", 12, series.colour, &series.name);
        right -= 7.0 * series.name.len() as f64 + 14.0;
    }
    for series in &panel.series {
        let (width, opacity, dashes) = match series.style {
            Style::Faint => (1.0, 0.45, "none"),
            Style::Dotted => (1.2, 0.8, "2 3"),
            Style::Line | Style::Step => (1.6, 1.0, "none"),
        };
        let path = path(series, &x, &y);
        put(
            out,
            format_args!(
                r#"<path d="{path}" fill="none" stroke="{}" stroke-width="{width}" stroke-opacity="{opacity}" stroke-dasharray="{dashes}"/>"#,
                series.colour
            ),
        );
    }
}

fn path(series: &Series, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for (place, (time, value)) in series.points.iter().filter(|(_, value)| value.is_finite()).enumerate() {
        // Writing to a string cannot fail.
        let _ = match (place, series.style) {
            (0, _) => write!(path, "M{:.1} {:.1}", x(*time), y(*value)),
            (_, Style::Step) => write!(path, "H{:.1}V{:.1}", x(*time), y(*value)),
            (_, Style::Line | Style::Faint | Style::Dotted) => write!(path, "L{:.1} {:.1}", x(*time), y(*value)),
        };
    }
    path
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `least`.
fn tick_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-3).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|step| *step >= least).unwrap_or(10.0 * power)
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, size: u32, colour: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    put(
        out,
        format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{words}</text>"#
        ),
    );
}

fn put(out: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{element}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether every element is closed in order and every `&` begins an entity.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let Some((tag, after)) = piece.split_once('>') else { return false };
            let is_entity = |rest: &str| ["amp;", "lt;", "gt;"].iter().any(|name| rest.starts_with(name));
            if after.contains('>') || !after.split('&').skip(1).all(is_entity) {
                return false;
            }
            let name = tag.split(' ').next().unwrap_or_default().to_owned();
            match (tag.strip_prefix('/'), tag.ends_with('/')) {
                (Some(name), _) if open.pop().as_deref() != Some(name) => return false,
                (Some(_), _) | (None, true) => {}
                (None, false) => open.push(name),
            }
            if tag.matches('"').count() % 2 != 0 {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn a_chart_is_well_formed_whatever_is_in_it() {
        let series = |style, points: &[(f64, f64)]| Series {
            name: "a < b & c".to_owned(),
            colour: "#123456",
            style,
            points: points.to_vec(),
        };
        let panels = [
            Panel { title: "rate, kbps".to_owned(), series: vec![], at_least: 0.0 },
            Panel {
                title: "queue".to_owned(),
                series: vec![
                    series(Style::Step, &[(0.0, 1.0), (5.0, 3.0)]),
                    series(Style::Line, &[(0.0, f64::NAN), (1.0, f64::INFINITY), (99.0, 2.0)]),
                    series(Style::Faint, &[]),
                ],
                at_least: 1.0,
            },
        ];
        for seconds in [0.0, 10.0, 125.0] {
            let svg = chart("<title> & more", &panels, seconds);
            assert!(is_well_formed(&svg), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(!is_well_formed("<svg><text></svg>") && !is_well_formed("<svg>a & b</svg>"));
    }

    #[test]
    fn a_step_holds_its_value_until_the_next() {
        let points = vec![(0.0, 1.0), (5.0, 3.0)];
        let series = Series { name: String::new(), colour: "red", style: Style::Step, points };
        assert_eq!(path(&series, &|x| x, &|y| y), "M0.0 1.0H5.0V3.0");
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!([0.7, 1.0, 1.1, 33.0, 60.0, 510.0].map(tick_step), [1.0, 1.0, 2.0, 50.0, 100.0, 1000.0]);
    }
}
