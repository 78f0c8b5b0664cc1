package org.alpaca4j.weights.gguf;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model's configuration as metadata of a GGUF file, and back. Keys and their meaning are those of
 * llama.cpp's {@code llama-arch.cpp} and of its conversion scripts.
 */
final class GgufHyperparameters {
  private static final Logger LOG = LoggerFactory.getLogger(GgufHyperparameters.class);
  private static final String WINDOW = "attention.sliding_window";
  private static final int MAX_EXPERTS = 1024;

  private GgufHyperparameters() {}

  /**
   * Returns the metadata of a model.
   *
   * @throws UnsupportedModelException if llama.cpp could not run it as configured
   */
  static Map<String, GgufValue> write(ModelConfig config) {
    GgufArchitecture architecture = GgufArchitecture.of(config);
    DecoderDescription model = Internals.description(config);
    architecture.requireWeights(model);
    Attention attention = model.layers().get(0).attention();
    GgufKeys keys = new GgufKeys(architecture);
    keys.size("block_count", model.layers().size());
    keys.size("context_length", model.maxPositions());
    keys.size("embedding_length", model.hiddenSize());
    keys.size("feed_forward_length", architecture.feedForward(model));
    keys.size("attention.head_count", attention.heads());
    keys.size("attention.head_count_kv", attention.kvHeads());
    keys.number(architecture.epsilonKey(), config.rmsNormEps());
    keys.size("attention.key_length", attention.headDim());
    keys.size("attention.value_length", attention.headDim());
    keys.size("vocab_size", model.vocabSize());
    if (attention.softcap() > 0) {
      keys.number("attn_logit_softcapping", attention.softcap());
    }
    if (model.head().softcap() > 0) {
      keys.number("final_logit_softcapping", model.head().softcap());
    }
    if (model.layers().get(0).mlp() instanceof Experts experts) {
      writeExperts(architecture, experts, keys);
    }
    architecture.write(keys, model);
    GgufRope.write(architecture, model, keys);
    writeWindows(architecture, model, keys);
    requireSame(architecture, config, keys.values());
    return keys.values();
  }

  private static void writeExperts(GgufArchitecture architecture, Experts experts, GgufKeys keys) {
    keys.size("expert_count", experts.count());
    keys.size("expert_used_count", experts.perToken());
    if (architecture != GgufArchitecture.LLAMA) {
      keys.size("expert_feed_forward_length", experts.width());
    }
    if (experts.shared() != null) {
      keys.size("expert_shared_feed_forward_length", experts.shared().width());
    }
  }

  private static void writeWindows(
      GgufArchitecture architecture, DecoderDescription model, GgufKeys keys) {
    boolean[] sliding = new boolean[model.layers().size()];
    int pattern = architecture.windowPattern();
    boolean usual = pattern > 0;
    int window = 0;
    for (int layer = 0; layer < sliding.length; layer++) {
      int own = model.layers().get(layer).attention().window();
      sliding[layer] = own > 0;
      usual = usual && sliding[layer] == ((layer + 1) % pattern != 0);
      window = Math.max(window, own);
    }
    if (window > 0) {
      keys.size(WINDOW, window);
    }
    if ((window > 0 || architecture.defaultWindow() > 0) && !usual) {
      keys.put(WINDOW + "_pattern", GgufValue.bools(sliding));
    }
    if (window > 0 && !architecture.computesWindows()) {
      LOG.warn(
          "llama.cpp ignores the sliding window of {} models: beyond {} tokens it computes"
              + " something else",
          architecture.ggufName(),
          window);
    }
  }

  /**
   * Refuses a model that llama.cpp computes in another way than its configuration says: reading the
   * metadata again gives another one.
   */
  private static void requireSame(
      GgufArchitecture architecture, ModelConfig config, Map<String, GgufValue> values) {
    Map<String, GgufTensor> tensors = new HashMap<>();
    for (GgufLayout.Entry entry : GgufLayout.of(config)) {
      for (GgufLayout.Part part : entry.parts()) {
        tensors.put(part.name(), GgufTensor.of(part.name(), GgufType.F32, part.shape()));
      }
    }
    Path nowhere = Path.of("the exported file");
    GgufMetadata metadata = new GgufMetadata(nowhere, values);
    GgufReading reading = new GgufReading(nowhere, metadata, tensors, architecture);
    DecoderDescription computed = Internals.description(read(reading).build());
    String difference =
        DescriptionDifference.find(Internals.description(config), computed).orElse(null);
    if (difference != null) {
      throw architecture.refusal(difference + ". Export a model without it, or keep the folder");
    }
  }

  /**
   * Returns the configuration of the model in a file.
   *
   * @throws CheckpointException if a value is missing or impossible
   * @throws UnsupportedModelException if the model is of a kind that this library does not run
   */
  static ModelConfig read(GgufFile file) {
    String name = required(file.metadata(), "general.architecture");
    GgufArchitecture architecture =
        GgufArchitecture.named(name)
            .orElseThrow(
                () ->
                    new UnsupportedModelException(
                        file.file()
                            + ": architecture "
                            + name
                            + " is not supported; supported: "
                            + GgufArchitecture.names()));
    Map<String, GgufTensor> tensors = new HashMap<>();
    file.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
    GgufReading reading = new GgufReading(file.file(), file.metadata(), tensors, architecture);
    ModelConfig.Builder config = read(reading);
    List<Rotary> rotaries = Internals.description(config.build()).rotaries();
    RopeScaling scaling =
        rotaries.isEmpty() ? RopeScaling.DEFAULT : GgufRope.read(file, reading, rotaries.get(0));
    if (scaling.type() != RopeScaling.Type.DEFAULT) {
      config.ropeScaling(scaling);
      int original = scaling.originalMaxPositionEmbeddings();
      reading.setUnless("original_max_position_embeddings", original, original);
    }
    return config.build();
  }

  /** Reads all but what stretches rotary embeddings. */
  private static ModelConfig.Builder read(GgufReading in) {
    requireExperts(in);
    int hidden = in.hidden();
    int heads = in.heads();
    int headDim = in.headDim();
    in.requireSame("attention.value_length", headDim);
    GgufTensor embedding = in.tensor("token_embd.weight");
    in.set("vocab_size", (int) Math.min(embedding.shape().get(0), Integer.MAX_VALUE));
    in.set("hidden_size", hidden);
    in.set("num_hidden_layers", in.layers());
    in.set("num_attention_heads", heads);
    in.setUnless("num_key_value_heads", in.keyValueHeads(), heads);
    in.setUnless("head_dim", headDim, hidden / heads);
    in.setUnless("intermediate_size", in.size("feed_forward_length"), 4 * hidden);
    in.set("max_position_embeddings", in.size("context_length"));
    in.set("rms_norm_eps", in.number(in.architecture().epsilonKey()));
    boolean tied = in.architecture().alwaysTied() || !in.has("output.weight");
    in.setUnless("tie_word_embeddings", tied, false);
    if (in.architecture().rotary(in.layers())) {
      readRotary(in, headDim);
    }
    readExperts(in);
    readWindows(in);
    in.architecture().read(in);
    return in.builder();
  }

  /** Nothing may be built by numbers that the file's size does not bear out. */
  private static void requireExperts(GgufReading in) {
    int experts = in.count("expert_count", 0);
    for (int layer = 0; layer < in.layers() && experts > 0; layer++) {
      GgufTensor gates = in.tensor("blk." + layer + ".ffn_gate_exps.weight");
      if (gates.shape().get(0) != experts || experts > MAX_EXPERTS) {
        throw new CheckpointException(
            in.file()
                + ": "
                + in.full("expert_count")
                + " is "
                + experts
                + ", but must be the first dimension of "
                + gates.name()
                + gates.shape()
                + " and at most "
                + MAX_EXPERTS);
      }
    }
  }

  private static void readRotary(GgufReading in, int headDim) {
    int dims = in.count("rope.dimension_count", headDim);
    if (!in.architecture().turnsParts()) {
      in.requireSame("rope.dimension_count", headDim);
    }
    double share = (double) dims / headDim;
    share += (int) (headDim * share) < dims ? Math.ulp(share) : 0;
    in.setUnless("partial_rotary_factor", share, 1.0);
    in.setUnless("rope_theta", in.theta(), 10_000.0);
  }

  private static void readExperts(GgufReading in) {
    int count = in.count("expert_count", 0);
    if (count == 0) {
      return;
    }
    int used = in.size("expert_used_count");
    in.set("num_experts", count);
    in.set("num_experts_per_tok", used);
    if (in.architecture() != GgufArchitecture.LLAMA) {
      int width = in.size("feed_forward_length") / used;
      in.set("moe_intermediate_size", in.count("expert_feed_forward_length", width));
    }
  }

  private static void readWindows(GgufReading in) {
    int window = in.count(WINDOW, in.architecture().defaultWindow());
    boolean @Nullable [] pattern = in.pattern(WINDOW + "_pattern");
    boolean computed = in.architecture().computesWindows();
    boolean switched = in.architecture().switchesWindows();
    if (window > 0) {
      in.set("sliding_window", window);
    }
    if (window > 0 && switched) {
      in.set("use_sliding_window", true);
    }
    if (computed ? window == 0 || pattern != null : window > 0 && switched) {
      boolean[] every = in.everyBut(window == 0 ? 1 : 0);
      in.set("layer_types", layerTypes(pattern == null ? every : pattern));
    }
  }

  private static List<String> layerTypes(boolean[] sliding) {
    List<String> types = new ArrayList<>();
    for (boolean one : sliding) {
      types.add(one ? "sliding_attention" : "full_attention");
    }
    return types;
  }

  static String required(GgufMetadata metadata, String key) {
    return metadata.string(key).orElseThrow(() -> metadata.missing(key));
  }
}
