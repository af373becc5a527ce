import { expect, test } from "vitest";

import type { Schedule } from "@client/gen";
import { scheduleDraft, scheduleInput, WORK } from "./schedule";

test("a schedule survives the way through the form, whatever its jobs do", () => {
  for (const { value } of WORK) {
    const sent = scheduleInput({ ...scheduleDraft(), work: value, catchUp: value === "etl", etag: "3" });
    expect(sent.etag).toBe("3");
    expect(scheduleDraft(sent as Schedule)).toMatchObject({ work: value, catchUp: value === "etl", cron: "30 3 * * *" });
  }
  const alarmed = { ...scheduleDraft(), work: "forecaster-full" as const, alarmDays: 3 };
  expect(scheduleDraft(scheduleInput(alarmed) as Schedule).alarmDays).toBe(3);
  // What was chosen before the work was changed does not matter.
  expect(scheduleInput({ ...alarmed, work: "etl" }).alarm_trigger).toBeNull();
  expect(scheduleInput(scheduleDraft())).not.toHaveProperty("etag");
});
