"""What the codes mean, in words: why a number is missing, or why it does not count as the others do."""

from __future__ import annotations

from energy.codes import EXPLANATIONS

WORDS = {str(code): text for code, text in EXPLANATIONS.items()} | {
    "unknown_architecture": "FLOPs cannot be counted for this model, so neither they nor its share of the energy are known",
    "no_price": "nobody sells this by the token, or the price book has no price for it",
    "no_common_basis": "no kind of dollars (hardware, token, energy) is known for every complete cell here; choose one with --cost-basis",
    "no_human_price": "no human expert's price is known for these problems",
    "shared_load": "measured while other work ran beside it: not comparable with times of live cells",
    "fewer_problems": "it lacks problems that another cell here has; --common compares on the problems that all have",
    "unfinished": "its run stopped before all problems of its experiment were done; run it again to finish",
    "errors": "more than 1 % of its items failed for reasons of infrastructure; `bench run` tries them again",
    "no_attempts": "nothing was run yet",
    "all_errors": "every attempt failed for reasons of infrastructure",
    "not_measured": "no time was recorded",
    "unsettled": "its run ended before energy was attributed; the next `bench run` does it",
    "other_engine": "its texts were replayed from another engine",
    "other_hardware": "its texts were replayed from other hardware",
    "resumed": "a live cell that was interrupted: its energy is that of its longest valid window",
    "mixed_environment": "it was resumed under another engine version",
    "stale_extractor": "its strategy chose by an older answer extractor; only a new series (--fresh) applies the new one",
    "windows_overlap": "energy windows overlap, so nothing can be attributed",
    "batch_underfilled": "the device was never full, so its energy per token is higher than it could be",
    "no_stream": "the times of the stream's pieces were not kept: the engine gives none, or they all came at once",
    "one_token": "no call has more than one output token",
    "no_steady_state": "too few calls for a span in which the batch was full: twice as many as are in flight, and more",
    "no_peak": "neither the hardware table nor a calibration has a peak for it; `bench calibrate` measures this machine's",
    "config_not_kept": "the run did not keep the model's config: an older version made it, or the model's architecture is not known",
    "several_hardware": "its roles run on different hardware, so there is no one peak",
    "idle_not_read": "no idle power was read: nothing measures here, or the run asked for no idle time",
    "partial": "the row is partial",
    "hardware_differs": "the hardware differs, so times, joules and dollars are not compared",
    "energy_source_differs": "one side's energy is measured otherwise than the other's, so it is not compared",
    "no_counterpart": "the other side has no such cell",
    "ambiguous": "several cells of the other side could be meant",
    "no_common_attempts": "no judged attempt of the same problem and trial is on both sides",
    "nothing_to_compare_with": "base took none of it",
    "several_trials": "problems have several attempts, which are not independent",
    "several_items": "problems have several items, which are not independent",
    "only_in_base": "that only base has",
    "only_in_head": "that only head has",
    "problem_changed": "on problems that changed",
    "infrastructure_errors": "with infrastructure errors",
    "not_judged": "that are not judged",
    "no_clean_cell": "its series has no cell that is the same on the clean task",
    "no_confidence": "no confidence is stored: single samples, without log-probabilities (a best_of_n in the experiment records them)",
    "task_missing": "its task, which would read the samples' answers, cannot be loaded here",
    "nothing_answered": "no attempt gave an answer",
    "all_alike": "all attempts ended alike, so nothing varies",
    "missing_levels": "not all numbers of questions were run that the mean is over: REST's own for the task, else those of another row",
    "uneven_levels": "its numbers of questions were run on different numbers of problems",
    "nothing_interrupted": "no trace had thinking to cut",
    "no_own_answer": "no whole trace came to an answer of its own",
    "whole_not_judged": "no attempt of the series is such a whole trace alone: put cot beside it, in mode update on the base task",
    "no_whole_right": "no whole trace was right",
    "other_mode": "a score of another mode of interruption",
    "reasoning_not_counted": "the server does not count reasoning tokens, and the engine has no tokenizer that could",
    "observation_missing": "its samples were stored without it; a best_of_n or another strategy that needs it, with --fresh, observes it",
    "no_answers": "the task extracts no answers that could be counted",
    "few_samples": "four values of k are the least that a law of two parameters can be fitted to",
    "fewer_samples": "their pools have fewer samples than the curve goes to",
    "judge_failed": "their judge failed on a sample; `bench curves` tries them again",
    "not_asked_now": "they are not among the task's problems any more",
    "no_compat_score": "not judged by REST's own grader: the base's answers are no mathematics, or `bench rejudge` has not been run",
}


def words(code: str) -> str:
    """The explanation of a code, or the code itself. A prefix such as `flop: ` is kept; several codes are joined by commas."""
    head, colon, tail = code.rpartition(": ")
    return head + colon + "; ".join(WORDS.get(part, part.replace("_", " ")) for part in tail.split(","))
