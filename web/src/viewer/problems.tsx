// The list of problems, by kind, above everything else.

import { useState } from "preact/hooks";
import { clock, count } from "../shared/format";
import { Sign } from "../shared/sign";
import type { Rule } from "../shared/model";
import type { ProblemGroup } from "../shared/rows";

interface ProblemsProps {
  groups: ProblemGroup[];
  rules: Record<string, Rule>;
  onShow: (at: number, isFar: boolean) => void;
  onNext: (group: ProblemGroup) => void;
}

/** Number of kinds that are shown at first. */
const FEW = 12;

export function Problems({ groups, rules, onShow, onNext }: ProblemsProps) {
  const [isWhole, setWhole] = useState(false);
  if (groups.length === 0) {
    return (
      <section class="problems is-well" aria-label="Problems">
        <p>
          <span class="tick" aria-hidden="true">✓</span> No problem was found.
        </p>
      </section>
    );
  }
  const total = (severity: string) =>
    groups.filter((group) => rules[group.kind]?.severity === severity).reduce((sum, group) => sum + group.count, 0);
  const shown = isWhole ? groups : groups.slice(0, FEW);
  return (
    <section class="problems" aria-label="Problems">
      <h2>
        Problems{" "}
        <span class="totals">
          {count(total("error"), "error")}, {count(total("warning"), "warning")}, {count(total("note"), "note")}
        </span>
      </h2>
      <ul>
        {shown.map((group) => {
          const rule = rules[group.kind];
          if (!rule) return null;
          return (
            <li key={group.kind} class={`problem is-${rule.severity}`} title={rule.words}>
              <button type="button" class="problem-name" onClick={() => onNext(group)}>
                <Sign severity={rule.severity} />
                <span class="problem-title">{rule.title}</span>
                <span class="problem-rule">{rule.rule}</span>
                {group.count > 1 && <span class="problem-count">×{group.count.toLocaleString("en")}</span>}
              </button>
              <span class="problem-places">
                {group.first.slice(0, 1).map((place) => (
                  <button key={place.at} type="button" class="quiet" aria-label={`${rule.title}, line ${place.id}, at ${clock(place.t)}`} onClick={() => onShow(place.at, true)}>
                    {clock(place.t)}
                  </button>
                ))}
              </span>
            </li>
          );
        })}
      </ul>
      {groups.length > FEW && (
        <button type="button" class="quiet more" onClick={() => setWhole(!isWhole)} aria-expanded={isWhole}>
          {isWhole ? "Fewer" : `${groups.length - FEW} more kinds`}
        </button>
      )}
    </section>
  );
}
