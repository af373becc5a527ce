// What raised and what lowered a day's forecast, from the baseline to the mean.
import { t } from "@lingui/core/macro";
import { Fragment } from "react";

import type { DayExplanation } from "@client/gen";
import { amount } from "../format";

export function Waterfall({ explanation }: { explanation: DayExplanation }) {
  const { baseline, mean, contributions } = explanation;
  let reached = baseline;
  const steps = contributions.map(({ feature, text, amount: change }) => {
    const start = reached;
    reached += change;
    return { key: feature, text, start, end: reached, change };
  });
  const edges = [0, baseline, mean, ...steps.map(({ end }) => end)];
  const low = Math.min(...edges);
  const span = Math.max(...edges) - low || 1;
  const place = (from: number, to: number) => ({ insetInlineStart: `${((Math.min(from, to) - low) / span) * 100}%`, width: `max(2px, ${(Math.abs(to - from) / span) * 100}%)` });
  return (
    <div className="bars" role="group" aria-label={t`Explanation: from ${amount(baseline)} to ${amount(mean)}`}>
      <Bar text={t`Baseline`} colour="var(--chart-history)" style={place(0, baseline)} value={amount(baseline)} />
      {steps.map(({ key, text, start, end, change }) => (
        <Fragment key={key}>
          <Bar text={text} colour={change < 0 ? "var(--fall)" : "var(--rise)"} style={place(start, end)} value={`${change < 0 ? "−" : "+"}${amount(Math.abs(change))}`} />
        </Fragment>
      ))}
      <Bar text={t`Forecast`} strong colour="var(--chart-mean)" style={place(0, mean)} value={amount(mean)} />
    </div>
  );
}

function Bar({ text, colour, style, value, strong = false }: { text: string; colour: string; style: { insetInlineStart: string; width: string }; value: string; strong?: boolean }) {
  return (
    <>
      <span style={{ fontWeight: strong ? 600 : 400 }}>{text}</span>
      <div className="bar-track" aria-hidden>
        <span style={{ ...style, background: colour }} />
      </div>
      <span className="number" style={{ fontWeight: strong ? 600 : 400 }}>
        {value}
      </span>
    </>
  );
}
