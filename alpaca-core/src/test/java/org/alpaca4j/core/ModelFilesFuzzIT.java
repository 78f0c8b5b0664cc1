package org.alpaca4j.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.fuzz.Fuzz;
import org.alpaca4j.core.fuzz.Meter;
import org.alpaca4j.core.fuzz.Mutator;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Mutated files beside the weights. */
@Tag("fuzz")
class ModelFilesFuzzIT {
  private static final long BASE_BYTES = 1 << 20;

  /** A description has an object for each tensor: some 1,000 layers, or 32,768 experts. */
  private static final long CONFIG_BYTES = 1 << 26;

  private static final Path TOKENIZER =
      Path.of("src/test/resources/byte-level-tokenizer/tokenizer.json");

  @Test
  void config() {
    List<byte[]> sound =
        List.of(
            utf8(TinyModel.config().build().toJson()),
            utf8(
                """
                {"model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4,
                 "num_hidden_layers": 2, "num_key_value_heads": 2, "use_sliding_window": true,
                 "sliding_window": 16, "max_window_layers": 1, "eos_token_id": [1, 2],
                 "layer_types": ["full_attention", "sliding_attention"],
                 "rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                 "original_max_position_embeddings": 32}, "torch_dtype": "bfloat16"}
                """),
            utf8(
                """
                {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4,
                 "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
                 "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                 "original_max_position_embeddings": 8192}, "pretraining_tp": 1, "dtype": null}
                """),
            utf8(
                """
                {"model_type": "qwen2_moe", "hidden_size": 64, "num_attention_heads": 4,
                 "num_hidden_layers": 2, "num_experts": 4, "num_experts_per_tok": 2,
                 "mlp_only_layers": [0], "decoder_sparse_step": 1, "norm_topk_prob": true,
                 "quantization_config": {"load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}}
                """),
            utf8(
                """
                {"model_type": "gemma3_text", "num_hidden_layers": 2, "sliding_window": 4,
                 "sliding_window_pattern": 2, "rope_local_base_freq": 10000.0,
                 "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0},
                 "sliding_attention": {"rope_type": "default"}}, "query_pre_attn_scalar": 8}
                """),
            utf8(
                """
                {"model_type": "phi3", "hidden_size": 64, "num_attention_heads": 8,
                 "num_hidden_layers": 2, "partial_rotary_factor": 0.5, "rope_scaling":
                 {"type": "longrope", "short_factor": [1, 1.5], "long_factor": [1, 2.5]}}
                """),
            utf8(
                """
                {"model_type": "chatglm", "hidden_size": 64, "num_attention_heads": 4,
                 "num_layers": 2, "inner_hidden_size": 48, "position_encoding_2d": true,
                 "padded_vocab_size": null, "kv_channels": 8, "rope_ratio": 1}
                """),
            utf8(
                """
                {"model_type": "falcon", "hidden_size": 64, "n_head": 4, "n_layer": 2,
                 "new_decoder_architecture": true, "num_kv_heads": 2, "alibi": false}
                """));
    Fuzz.run(
        "config",
        5,
        CONFIG_BYTES,
        random -> {
          Mutator mutator = new Mutator(random);
          return Map.of("config.json", mutator.json(mutator.pick(sound), mutator.pick(sound)));
        },
        (folder, meter) ->
            meter.measure("load", () -> ModelConfig.load(folder.resolve("config.json"))));
  }

  @Test
  void sentencePiece() {
    byte[] sound = SentencePieceModels.hello().toBytes();
    byte[] small =
        new SentencePieceModels()
            .piece("<unk>", 0, 2)
            .piece("<s>", 0, 3)
            .piece("ab", -1, 1)
            .piece("a", -2, 1)
            .piece("b", -3, 1)
            .toBytes();
    Fuzz.run(
        "sentencepiece",
        5,
        BASE_BYTES,
        random -> {
          Mutator mutator = new Mutator(random);
          return Map.of("tokenizer.model", mutator.bytes(mutator.oneIn(4) ? sound : small, sound));
        },
        (folder, meter) -> {
          Path file = folder.resolve("tokenizer.model");
          SentencePieceModel model = meter.measure("load", () -> SentencePieceModel.load(file));
          SentencePieceTokenizer tokenizer = new SentencePieceTokenizer(model);
          meter.measure("tokenizer.json", () -> tokenizer.tokenizerJson(true, true, "it"));
          meter.measure("config", tokenizer::configJson);
        });
  }

  @Test
  void tiktoken() {
    byte[] sound = utf8("aA== 0\nZQ== 1\nbA== 2\nbw== 3\naGU= 4\nbGw= 5\naGVsbA== 6\naGVsbG8= 7\n");
    Fuzz.run(
        "tiktoken",
        5,
        BASE_BYTES,
        random -> {
          Mutator mutator = new Mutator(random);
          return Map.of("qwen.tiktoken", mutator.bytes(sound, sound));
        },
        (folder, meter) -> convert(folder, VocabularyFile.TIKTOKEN, meter));
  }

  @Test
  void vocabularyAndMerges() {
    byte[] vocabulary = utf8("{\"h\": 0, \"e\": 1, \"he\": 2, \"<|endoftext|>\": 3}");
    byte[] merges = utf8("#version: 0.2\nh e\n");
    byte[] config =
        utf8(
            """
            {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": "<s>",
             "added_tokens_decoder": {"7": {"content": "<a>", "special": true}}}
            """);
    Fuzz.run(
        "vocabulary",
        5,
        BASE_BYTES,
        random -> {
          Mutator mutator = new Mutator(random);
          return Map.of(
              "vocab.json",
              mutator.oneIn(2) ? mutator.json(vocabulary, config) : vocabulary,
              "merges.txt",
              mutator.oneIn(2) ? mutator.bytes(merges, merges) : merges,
              "tokenizer_config.json",
              mutator.oneIn(2) ? mutator.json(config, vocabulary) : config);
        },
        (folder, meter) -> convert(folder, VocabularyFile.VOCAB_AND_MERGES, meter));
  }

  @Test
  void chatGlm() {
    SentencePieceModels model = new SentencePieceModels().trainer(3, 1);
    model.piece("<unk>", 0, 2).piece("<n>", 0, 4).piece("a", -2, 1).piece("\u2581a", -1, 1);
    byte[] sound = model.toBytes();
    byte[] config =
        utf8(
            """
            {"tokenizer_class": "ChatGLMTokenizer", "num_image_tokens": 3, "eop_token": "<eop>",
             "added_tokens_decoder": {"9": {"content": "<a>", "special": true}}}
            """);
    Fuzz.run(
        "chatglm",
        5,
        12 * BASE_BYTES, // the first release's 20,000 image tokens
        random -> {
          Mutator mutator = new Mutator(random);
          return Map.of(
              "ice_text.model",
              mutator.oneIn(2) ? mutator.bytes(sound, sound) : sound,
              "tokenizer_config.json",
              mutator.oneIn(2) ? mutator.json(config, config) : config);
        },
        (folder, meter) -> convert(folder, VocabularyFile.ICE_TEXT, meter));
  }

  private static void convert(Path folder, VocabularyFile kind, Meter meter) throws Exception {
    TokenizerFiles files = meter.measure("files", () -> TokenizerFiles.read(folder));
    meter.measure(
        "convert", () -> TokenizerConversion.of(folder.resolve(kind.fileName()), kind, files));
  }

  /** Without the native tokenizer, of which one is checked here: whether JSON is what it needs. */
  @Test
  void tokenizerJson() throws IOException {
    byte[] sound = Files.readAllBytes(TOKENIZER);
    byte[] small =
        utf8(
            """
            {"version": "1.0", "added_tokens": [{"id": 2, "content": "</s>", "special": true}],
             "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}
            """);
    Fuzz.run(
        "tokenizer",
        5,
        BASE_BYTES,
        random -> {
          Mutator mutator = new Mutator(random);
          return Map.of("tokenizer.json", mutator.json(mutator.oneIn(8) ? sound : small, small));
        },
        (folder, meter) -> {
          byte[] bytes = Files.readAllBytes(folder.resolve("tokenizer.json"));
          TokenizerJson json = meter.measure("parse", () -> TokenizerJson.parse(bytes, "it"));
          List<AddedToken> more = List.of(AddedToken.special("<pad>"), AddedToken.special("</s>"));
          meter.measure("add", () -> json.with(more, "it"));
        });
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
