package org.alpaca4j.data.gorilla;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.alpaca4j.data.gorilla.ApiCallEvaluator.Prediction;
import org.alpaca4j.data.gorilla.ApiJudgement.Verdict;
import org.junit.jupiter.api.Test;

class ApiCallEvaluatorTest {
  private static final String WANTED = "torch.hub.load(repo_or_dir='a/b', model='m')";
  private static final String OTHER = "torch.hub.load(repo_or_dir='c/d', model='n')";

  private final ApiCallEvaluator torch =
      ApiCallEvaluator.of(ApiHub.TORCH_HUB, List.of(WANTED, OTHER));

  @Test
  void argumentsByPositionOrNameAreTheSame() {
    assertThat(verdict(torch, "net = torch.hub.load('a/b', model=\"m\", x=1)", WANTED))
        .isEqualTo(Verdict.MATCH);
  }

  @Test
  void anotherApiOfTheBaseIsWrongButNotMadeUp() {
    assertThat(verdict(torch, OTHER, WANTED)).isEqualTo(Verdict.NO_MATCH);
  }

  @Test
  void anApiThatDoesNotExistIsAHallucination() {
    assertThat(verdict(torch, "torch.hub.load('a/b', 'n')", WANTED))
        .isEqualTo(Verdict.HALLUCINATION);
  }

  @Test
  void aTextThatIsNoPythonIsAHallucinationThatSaysWhere() {
    ApiJudgement judgement = torch.judge("import torch\nsorry, no call", WANTED);

    assertThat(judgement.verdict()).isEqualTo(Verdict.HALLUCINATION);
    assertThat(judgement.reason()).startsWith("candidate does not parse: line 2");
  }

  @Test
  void aReferenceThatIsNoPythonIsReportedAndNeverMatched() {
    String broken = "torch.hub.load(repo_or_dir='a/b', 'm', model='n')";
    ApiCallEvaluator evaluator = ApiCallEvaluator.of(ApiHub.TORCH_HUB, List.of(broken, WANTED));

    assertThat(evaluator.unusableReferences()).containsExactly(broken);
    assertThat(verdict(evaluator, WANTED, broken)).isEqualTo(Verdict.NO_MATCH);
    assertThat(verdict(evaluator, broken, broken)).isEqualTo(Verdict.HALLUCINATION);
  }

  @Test
  void tensorFlowHubIsComparedByHandle() {
    String wanted = "hub.KerasLayer('https://tfhub.dev/x/1')";
    ApiCallEvaluator evaluator = ApiCallEvaluator.of(ApiHub.TENSORFLOW_HUB, List.of(wanted));

    assertThat(
            verdict(
                evaluator,
                "layer = hub.KerasLayer(handle='https://tfhub.dev/x/1', trainable=True)",
                wanted))
        .isEqualTo(Verdict.MATCH);
    assertThat(verdict(evaluator, "hub.load('https://tfhub.dev/x/1')", wanted))
        .isEqualTo(Verdict.HALLUCINATION);
  }

  @Test
  void huggingFaceIsComparedByClassAndModel() {
    String wanted = "AutoModel.from_pretrained('a/b')";
    String pipeline = "pipeline('summarization', model='c/d')";
    ApiCallEvaluator evaluator =
        ApiCallEvaluator.of(ApiHub.HUGGING_FACE, List.of(wanted, pipeline));

    assertThat(verdict(evaluator, "m = AutoModel.from_pretrained('a/b', revision='x')", wanted))
        .isEqualTo(Verdict.MATCH);
    assertThat(verdict(evaluator, "BertModel.from_pretrained('a/b')", wanted))
        .isEqualTo(Verdict.HALLUCINATION);
    assertThat(
            verdict(evaluator, "pipeline(task='summarization', model='c/d', device=0)", pipeline))
        .isEqualTo(Verdict.MATCH);
    assertThat(verdict(evaluator, "pipeline('summarization', 'c/d')(text)", wanted))
        .isEqualTo(Verdict.NO_MATCH);
  }

  @Test
  void functionsThatNoHubKnowsAreComparedOnAllArguments() {
    String wanted = "load(1, a=2, b=3)";
    ApiCallEvaluator evaluator = ApiCallEvaluator.of(ApiHub.TORCH_HUB, List.of(wanted));

    assertThat(verdict(evaluator, "load(1, b=3, a=2)", wanted)).isEqualTo(Verdict.MATCH);
    assertThat(verdict(evaluator, "load(1, a=2)", wanted)).isEqualTo(Verdict.HALLUCINATION);
  }

  @Test
  void theScoreCountsRightWrongAndMadeUp() {
    ApiScore score =
        torch.evaluate(
            List.of(
                new Prediction(WANTED, WANTED),
                new Prediction(OTHER, WANTED),
                new Prediction("torch.hub.load('x', 'y')", WANTED),
                new Prediction("?", WANTED)));

    assertThat(score).isEqualTo(new ApiScore(4, 1, 2));
    assertThat(score.accuracy()).isEqualTo(0.25);
    assertThat(score.hallucinationRate()).isEqualTo(0.5);
    assertThat(score.wrong()).isEqualTo(1);
  }

  @Test
  void theCandidateIsTheCallSectionOfAReplyOrItsFirstBlockOrAllOfIt() {
    assertThat(
            ApiCallEvaluator.candidate(
                "<<<domain>>>: X\n<<<api_call>>>: f(1)\n<<<api_provider>>>: Y"))
        .isEqualTo("f(1)");
    assertThat(ApiCallEvaluator.candidate("Try this:\n```python\nf(2)\n```\nGood luck."))
        .isEqualTo("f(2)\n");
    assertThat(ApiCallEvaluator.candidate("f(3)")).isEqualTo("f(3)");
  }

  private static Verdict verdict(ApiCallEvaluator evaluator, String candidate, String reference) {
    return evaluator.judge(candidate, reference).verdict();
  }
}
