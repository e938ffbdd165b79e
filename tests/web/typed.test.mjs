/** Typed answers: numbers, what is sent again, and what a refusal is about. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { TEXT_ANSWER_CHARS, TypedAnswers } from "../../preppald/web/client/typed-answers.js";

const numbers = (answers) => answers.map(({ number }) => number);

test("numbers grow, and those after a reload are above those before", () => {
  const before = new TypedAnswers();
  const first = before.add("one", 0).number;
  assert.equal(before.add("two", 0).number, first + 1);
  assert.ok(first >= Math.floor(Date.now() / 1000) - 1 && first < 2 ** 32);
});

test("an answer is sent again until it was shown, and for as long as the server may lose it", () => {
  const typed = new TypedAnswers();
  const one = typed.add(" I was\na sailor. ", 0);
  const two = typed.add("Yes.", 0);
  assert.equal(one.text, "I was\na sailor.");
  assert.deepEqual(numbers(typed.due(60_000)), [one.number, two.number]);
  typed.shown(" I was\na sailor.", 60_000);
  assert.deepEqual(numbers(typed.due(64_000)), [one.number, two.number]);
  assert.deepEqual(numbers(typed.due(65_001)), [two.number]);
});

test("a refusal is about the oldest that was not shown, and only its codes are refusals", () => {
  const typed = new TypedAnswers();
  typed.add("one", 0);
  typed.add("two", 0);
  typed.shown("one", 0);
  assert.equal(typed.refused(5000), null);
  assert.deepEqual(typed.refused(429), { text: "two", problem: "text-too-often" });
  assert.equal(typed.refused(429), null);
});

test("length counts code points, as the server does", () => {
  assert.equal(TypedAnswers.problem("😀".repeat(TEXT_ANSWER_CHARS)), null);
  assert.equal(TypedAnswers.problem("x".repeat(TEXT_ANSWER_CHARS + 1)), "text-too-long");
  assert.equal(TypedAnswers.problem(" \n"), "text-not-taken");
});

test("an interruption just after an answer is no echo", () => {
  const typed = new TypedAnswers();
  assert.equal(typed.mayHaveCut(0), false);
  typed.add("one", 0);
  assert.equal(typed.mayHaveCut(1000), true);
  assert.equal(typed.mayHaveCut(3000), false);
});
