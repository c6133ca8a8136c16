"""The look of the page: one sheet, light and dark, named by its hash in the page's policy."""

import base64
import hashlib

SHEET = """
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --card: #ffffff; --ink: #1b1f24; --quiet: #5d6671; --edge: #dfe3e6;
  --grid: #e6e9eb; --proof: #0f7a55; --limit: #a2560a; --wash: #f3f5f5;
  --c0: #2563c9; --c1: #d9730d; --c2: #0f9488; --c3: #b83280;
  --c4: #6d4fc4; --c5: #77860a; --c6: #94602c; --c7: #5b6b7b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2024; --ink: #e7eaed; --quiet: #9aa5b0; --edge: #30363c;
    --grid: #2a3036; --proof: #56c596; --limit: #f0a75a; --wash: #23282d;
    --c0: #6ea3ff; --c1: #ffa657; --c2: #45cfc0; --c3: #f08cc2;
    --c4: #b09cff; --c5: #c3d14b; --c6: #d9ab7c; --c7: #a5b4c3;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 1.5rem; }
h2 { font-size: 1.3rem; letter-spacing: -0.01em; margin: 3rem 0 0.5rem; }
h3 { font-size: 0.95rem; margin: 0 0 0.5rem; }
p { margin: 0 0 1rem; max-width: 46rem; }
.eyebrow {
  color: var(--quiet); font-size: 0.78rem; letter-spacing: 0.09em; text-transform: uppercase;
  margin: 0 0 0.4rem;
}
.statement {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr));
}
.statement section, .plot, .facts {
  background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  padding: 1.1rem 1.25rem;
}
.statement section { border-top: 3px solid var(--proof); }
.statement section.limits { border-top-color: var(--limit); }
.statement h2 { margin: 0 0 0.5rem; font-size: 1.05rem; }
.statement ul { margin: 0; padding-left: 1.1rem; font-size: 0.93rem; }
.statement li { margin: 0 0 0.45rem; }
.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.5rem; margin: 1rem 0 0;
}
.facts dt { color: var(--quiet); font-size: 0.9rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.figures {
  display: grid; gap: 0.75rem; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr));
  margin: 1rem 0; padding: 0;
}
.figures div { background: var(--wash); border-radius: 8px; padding: 0.7rem 0.9rem; }
.figures dt { color: var(--quiet); font-size: 0.8rem; }
.figures dd {
  margin: 0.1rem 0 0; font-size: 1.2rem; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
.plot { margin: 1rem 0; }
.plot svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text {
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--quiet);
  font-variant-numeric: tabular-nums;
}
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .label, svg .name { fill: var(--ink); }
.rule { stroke: var(--grid); } .zero { stroke: var(--quiet); } .tick { stroke: var(--quiet); }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.d1 { stroke-dasharray: 7 5; } .d2 { stroke-dasharray: 1.5 4.5; }
.area { fill-opacity: 0.88; }
.column { fill: transparent; } .column:hover { fill: var(--ink); fill-opacity: 0.07; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); }
.s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); }
.s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); }
.s6 { stroke: var(--c6); } .s7 { stroke: var(--c7); }
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); }
.f4 { fill: var(--c4); } .f5 { fill: var(--c5); } .f6 { fill: var(--c6); } .f7 { fill: var(--c7); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.88rem; min-width: 100%; }
th {
  text-align: left; font-weight: 600; border-bottom: 1.5px solid var(--edge);
  padding: 0.35rem 0.8rem 0.35rem 0; white-space: nowrap;
}
td { border-bottom: 1px solid var(--grid); padding: 0.28rem 0.8rem 0.28rem 0; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td, dd, dt, th, h1, h2, h3, p { unicode-bidi: isolate; }
summary { cursor: pointer; color: var(--quiet); margin: 1rem 0 0; }
a { color: var(--c0); }
footer {
  color: var(--quiet); font-size: 0.85rem; border-top: 1px solid var(--edge);
  margin-top: 3.5rem; padding-top: 1rem; overflow-wrap: anywhere;
}
@media print { body { max-width: none; } .plot, .statement section { break-inside: avoid; } }
"""


def policy() -> str:
    """The page's content security policy: this one sheet, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
