import type { ReactNode } from "react";

const WIDTH = 240;
const HEIGHT = 32;

/** The values as a line; the table of numbers is beside it, so the drawing itself says nothing to a reader of the screen. */
export function Sparkline({ values, label }: { values: readonly number[]; label: string }): ReactNode {
  const most = Math.max(1, ...values);
  const points = values.map((value, index) => {
    const x = (index / Math.max(1, values.length - 1)) * WIDTH;
    return `${x.toFixed(1)},${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
  });
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polyline points={points.join(" ")} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
