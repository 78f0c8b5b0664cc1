package org.alpaca4j.core;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The tokenizer classes, of transformers or of a model's own Python code, that are known here: the
 * file that their vocabulary is in, and what they take for granted where no file says otherwise.
 */
enum TokenizerClass {
  LLAMA(
      VocabularyFile.SENTENCE_PIECE,
      "LlamaTokenizer CodeLlamaTokenizer",
      "llama mistral mixtral",
      "bos=<s> eos=</s> unk=<unk>"),
  GEMMA(
      VocabularyFile.SENTENCE_PIECE,
      "GemmaTokenizer",
      "gemma gemma2 gemma3_text",
      "bos=<bos> eos=<eos> unk=<unk> pad=<pad>"),
  BAICHUAN(
      VocabularyFile.SENTENCE_PIECE, "BaichuanTokenizer", "baichuan", "bos=<s> eos=</s> unk=<unk>"),
  INTERN_LM(
      VocabularyFile.SENTENCE_PIECE,
      "InternLMTokenizer InternLM2Tokenizer",
      "internlm internlm2",
      "bos=<s> eos=</s> unk=<unk> pad=</s>"),
  CHAT_GLM(
      VocabularyFile.ICE_TEXT,
      "ChatGLMTokenizer",
      "chatglm",
      "bos=<sop> eos=<eop> unk=<unk> pad=<pad>"),
  CHAT_GLM2(
      VocabularyFile.SENTENCE_PIECE, "ChatGLMTokenizer", "chatglm", "eos=</s> unk=<unk> pad=<unk>"),
  GPT2(
      VocabularyFile.VOCAB_AND_MERGES,
      "GPT2Tokenizer CodeGenTokenizer",
      "gpt2 gpt_neo gptj gpt_bigcode starcoder2 opt codegen phi",
      "bos=<|endoftext|> eos=<|endoftext|> unk=<|endoftext|>"),
  QWEN2(
      VocabularyFile.VOCAB_AND_MERGES,
      "Qwen2Tokenizer",
      "qwen2 qwen2_moe qwen3 qwen3_moe",
      "eos=<|endoftext|> unk=<|endoftext|> pad=<|endoftext|>"),
  QWEN(VocabularyFile.TIKTOKEN, "QWenTokenizer", "qwen", "eos=<|endoftext|> pad=<|endoftext|>");

  private final VocabularyFile vocabulary;
  private final String names; // these three: one or more, with blanks between
  private final String modelTypes;
  private final String roles;

  TokenizerClass(VocabularyFile vocabulary, String names, String modelTypes, String roles) {
    this.vocabulary = vocabulary;
    this.names = names;
    this.modelTypes = modelTypes;
    this.roles = roles;
  }

  private List<String> names() {
    return List.of(names.split(" "));
  }

  /** Returns the tokens that have a role where no file names one. */
  Map<SpecialToken, String> roles() {
    Map<SpecialToken, String> tokens = new EnumMap<>(SpecialToken.class);
    for (SpecialToken role : SpecialToken.values()) {
      String key = role.key().replace("_token", "=");
      Stream.of(roles.split(" "))
          .filter(entry -> entry.startsWith(key))
          .forEach(entry -> tokens.put(role, entry.substring(key.length())));
    }
    return tokens;
  }

  /** Whether its texts begin with BOS unless {@code add_bos_token} is false. */
  boolean addsBos() {
    return this != GPT2 && this != QWEN2;
  }

  /** Returns the class that a folder's files name, or whose model's type they name. */
  static @Nullable TokenizerClass of(TokenizerFiles files) {
    String name = name(files);
    String modelType = files.modelType();
    return Arrays.stream(values())
        .filter(
            kind ->
                name != null
                    ? kind.names().contains(name)
                    : List.of(kind.modelTypes.split(" ")).contains(modelType))
        .filter(kind -> kind != CHAT_GLM || files.isOfFirstChatGlm())
        .findFirst()
        .orElse(null);
  }

  /**
   * Returns the class that tells how to use a folder's vocabulary.
   *
   * @throws TokenizerException if no file names it, or if it has no such vocabulary
   */
  static TokenizerClass of(TokenizerFiles files, VocabularyFile vocabulary) {
    TokenizerClass found = of(files);
    if (found != null && found.vocabulary == vocabulary) {
      return found;
    }
    String name = name(files);
    boolean generic =
        name == null || name.equals("PreTrainedTokenizer") || name.equals("TokenizersBackend");
    if (generic && found == null) {
      switch (vocabulary) {
        case SENTENCE_PIECE -> {
          return LLAMA;
        }
        case ICE_TEXT -> {
          return CHAT_GLM;
        }
        case TIKTOKEN -> {
          return QWEN;
        }
        default -> {}
      }
    }
    String known =
        Arrays.stream(values())
            .filter(kind -> kind.vocabulary == vocabulary)
            .flatMap(kind -> kind.names().stream())
            .collect(Collectors.joining(", "));
    String problem =
        name == null
            ? files.folder.resolve(TokenizerFiles.CONFIG) + ": tokenizer_class is missing"
            : files.folder.resolve(TokenizerFiles.CONFIG)
                + ": tokenizer_class \""
                + name
                + "\" is not one";
    throw new TokenizerException(
        problem
            + ", and config.json's model_type is "
            + (files.modelType().isEmpty() ? "missing" : "\"" + files.modelType() + "\"")
            + "; "
            + vocabulary.fileName()
            + " is read for "
            + known
            + ". Name one of these, or use a folder with this model's tokenizer.json, which"
            + " transformers' AutoTokenizer writes where the class has a fast version");
  }

  /** Fast classes are named after the slow ones. */
  private static @Nullable String name(TokenizerFiles files) {
    return files.config().get("tokenizer_class") instanceof String name && !name.isEmpty()
        ? name.replaceFirst("Fast$", "")
        : null;
  }
}
