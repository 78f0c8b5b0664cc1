package org.alpaca4j.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.jspecify.annotations.Nullable;

/**
 * The folders that a training run leaves: {@code checkpoint-STEP} with all that a later run needs
 * to go on, and the final model in the output directory itself. Each is written whole or not at
 * all.
 */
final class TrainingCheckpoints {
  private static final Pattern STEP_FOLDER = Pattern.compile("checkpoint-(\\d+)");
  private static final String STATE = "trainer_state.json";
  private static final String OPTIMIZER = "optimizer";
  private static final String UNPUBLISHED = ".final";
  private static final Set<String> LAST_FILES = Set.of("config.json", "adapter_config.json");
  private static final String TEMPLATES = "additional_chat_templates";

  /** Files beside the weights that say what they mean; a new model may have none of a kind. */
  private static final Set<String> COMPANIONS =
      Set.of(
          Conformance.FILE_NAME,
          GenerationConfig.FILE_NAME,
          PromptTemplate.FILE_NAME,
          "chat_template.jinja",
          "chat_template.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json");

  private final @Nullable Path output;
  private final CausalLm model;
  private final SftConfig config;
  private final DType dtype;
  private final boolean replaceExisting;
  private final ConformanceRecorder conformance;

  TrainingCheckpoints(
      @Nullable Path output,
      CausalLm model,
      SftConfig config,
      DType dtype,
      boolean replaceExisting,
      ConformanceRecorder conformance) {
    this.output = output;
    this.model = model;
    this.config = config;
    this.dtype = dtype;
    this.replaceExisting = replaceExisting;
    this.conformance = conformance;
  }

  /**
   * Finds out before training whether the output directory can be written to, and whether that
   * would destroy a model.
   */
  void prepare() {
    if (output == null) {
      return;
    }
    try {
      refuseTheBase(output);
      refuseModels(output);
      Files.createDirectories(output);
      Files.delete(Files.createTempFile(output, ".writable", null));
    } catch (IOException e) {
      throw new CheckpointException(
          "the output directory " + output + " cannot be written to: " + e, e);
    }
  }

  /** The folder that the model was loaded from is never written to. */
  private void refuseTheBase(Path root) throws IOException {
    Path base = model.folder();
    if (!Files.isDirectory(root) || !Files.exists(base)) {
      return;
    }
    boolean savesSteps = config.saveSteps() > 0 || config.saveEachEpoch();
    Path parent = base.toRealPath().getParent();
    boolean isStepOfRoot =
        parent != null
            && Files.isSameFile(root, parent)
            && STEP_FOLDER.matcher(base.toRealPath().getFileName().toString()).matches();
    if (Files.isSameFile(root, base) || savesSteps && isStepOfRoot) {
      throw new CheckpointException(
          "the output directory "
              + root
              + " would overwrite the model that is trained, "
              + base
              + "; choose another folder");
    }
  }

  private void refuseModels(Path root) throws IOException {
    if (replaceExisting || !Files.isDirectory(root)) {
      return;
    }
    try (Stream<Path> listed = Files.list(root)) {
      Optional<String> found =
          listed.map(path -> path.getFileName().toString()).filter(this::isOfAModel).findFirst();
      if (found.isPresent()) {
        throw new CheckpointException(
            "the output directory "
                + root
                + " holds a model already ("
                + found.get()
                + "); choose another folder, or have it replaced: replaceExisting(true)");
      }
    }
  }

  private boolean isOfAModel(String name) {
    return LAST_FILES.contains(name)
        || name.endsWith(".safetensors")
        || name.startsWith("pytorch_model")
        || STEP_FOLDER.matcher(name).matches();
  }

  /** Saves what a run can be resumed from, and deletes the oldest folders above the limit. */
  Path saveStep(int step, AdamW optimizer, List<TrainingListener.Step> steps) {
    Path root = Objects.requireNonNull(output);
    Path folder = root.resolve("checkpoint-" + step);
    CheckpointWriter.Builder writer = CheckpointWriter.builder(folder).replaceExisting(true);
    writer.file(STATE, state(step, steps));
    writer.files(target -> writeOptimizer(target.resolve(OPTIMIZER), optimizer));
    save(writer);
    deleteOldest(root, step);
    return folder;
  }

  /** Saves the final model in the output directory, if there is one. */
  Optional<Path> saveFinal(AdamW optimizer, List<TrainingListener.Step> steps) {
    if (output == null) {
      return Optional.empty();
    }
    Path unpublished = output.resolve(UNPUBLISHED);
    CheckpointWriter.Builder writer = CheckpointWriter.builder(unpublished).replaceExisting(true);
    writer.file(STATE, state(optimizer.steps(), steps));
    save(writer);
    publish(unpublished, output);
    return Optional.of(output);
  }

  private void save(CheckpointWriter.Builder writer) {
    conformance.file(model, dtype).ifPresent(json -> writer.file(Conformance.FILE_NAME, json));
    model.save(writer, dtype);
  }

  /**
   * Moves a complete checkpoint's files into a folder that may hold others. The configuration,
   * without which nobody reads a checkpoint, goes first from the old and comes last of the new, so
   * that the folder never looks complete when it is not.
   */
  private static void publish(Path from, Path to) {
    try {
      for (String last : LAST_FILES) {
        Files.deleteIfExists(to.resolve(last));
      }
      deleteOldModel(to);
      List<Path> files;
      try (Stream<Path> listed = Files.list(from)) {
        files =
            listed
                .sorted(
                    Comparator.comparing(
                        file -> LAST_FILES.contains(file.getFileName().toString())))
                .toList();
      }
      for (Path file : files) {
        Files.move(file, to.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
      Files.delete(from);
    } catch (IOException e) {
      throw new CheckpointException(
          "the trained model is complete in " + from + ", but could not be moved to " + to, e);
    }
  }

  /** What an older run's model consisted of must not stand beside the new one. */
  private static void deleteOldModel(Path folder) throws IOException {
    try (Stream<Path> listed = Files.list(folder)) {
      for (Path file : listed.toList()) {
        String name = file.getFileName().toString();
        boolean weights =
            (name.startsWith("model") || name.startsWith("adapter_model"))
                && name.contains(".safetensors");
        if (name.equals(TEMPLATES)) {
          delete(file);
        } else if (weights || COMPANIONS.contains(name)) {
          Files.delete(file);
        }
      }
    }
  }

  private void writeOptimizer(Path folder, AdamW optimizer) {
    CheckpointWriter.Builder writer = CheckpointWriter.builder(folder).weightsName(OPTIMIZER);
    Map<String, Moment> moments = new HashMap<>();
    declare("exp_avg.", optimizer.firstMoments(), writer, moments);
    declare("exp_avg_sq.", optimizer.secondMoments(), writer, moments);
    writer
        .build()
        .write(
            (name, out) -> {
              Moment moment = Objects.requireNonNull(moments.get(name));
              moment.unit().write(moment.parameter(), DType.F32, out);
            });
  }

  private record Moment(UnitTensors unit, UnitLayout.Parameter parameter) {}

  private static void declare(
      String prefix,
      List<UnitTensors> units,
      CheckpointWriter.Builder writer,
      Map<String, Moment> moments) {
    for (UnitTensors unit : units) {
      for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
        String name = prefix + parameter.name();
        writer.tensor(name, DType.F32, parameter.shapeArray());
        moments.put(name, new Moment(unit, parameter));
      }
    }
  }

  /** Steps taken, options that the order depends on, and the log, as JSON. */
  private String state(int step, List<TrainingListener.Step> steps) {
    ObjectMapper json = new ObjectMapper();
    ObjectNode root = json.createObjectNode();
    root.put("global_step", step);
    root.put("seed", config.seed());
    root.put("train_batch_size", config.batchSize());
    root.put("gradient_accumulation_steps", config.gradientAccumulationSteps());
    root.put("learning_rate", config.learningRate());
    root.put("precision", config.precision().name());
    ObjectNode made = root.putObject("made_with");
    made.put("java", System.getProperty("java.version"));
    made.put("os", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    ArrayNode log = root.putArray("log_history");
    for (TrainingListener.Step done : steps) {
      ObjectNode entry = log.addObject();
      entry.put("step", done.step());
      entry.put("epoch", done.epoch());
      entry.put("loss", done.loss());
      if (done.auxiliaryLoss() != 0) {
        entry.put("cross_entropy", done.crossEntropy());
        entry.put("weighted_aux_loss", done.auxiliaryLoss());
      }
      entry.put("learning_rate", done.learningRate());
      entry.put("grad_norm", done.gradientNorm());
    }
    return root.toPrettyString() + "\n";
  }

  private void deleteOldest(Path root, int newest) {
    try {
      List<Integer> steps = new ArrayList<>();
      try (Stream<Path> listed = Files.list(root)) {
        for (Path path : listed.toList()) {
          Matcher matcher = STEP_FOLDER.matcher(path.getFileName().toString());
          if (matcher.matches()) {
            steps.add(Integer.parseInt(matcher.group(1)));
          }
        }
      }
      // Folders beyond the newest step are an earlier run's; they are not this run's to delete.
      steps.removeIf(step -> step > newest || isBase(root.resolve("checkpoint-" + step)));
      steps.sort(Comparator.reverseOrder());
      for (int step :
          steps.subList(Math.min(config.saveTotalLimit(), steps.size()), steps.size())) {
        delete(root.resolve("checkpoint-" + step));
      }
    } catch (IOException e) {
      throw new CheckpointException("old checkpoints in " + root + " could not be deleted", e);
    }
  }

  private boolean isBase(Path folder) {
    try {
      return Files.exists(model.folder()) && Files.isSameFile(folder, model.folder());
    } catch (IOException e) {
      throw new CheckpointException(folder + " cannot be looked at: " + e, e);
    }
  }

  private static void delete(Path folder) throws IOException {
    for (String last : LAST_FILES) {
      Files.deleteIfExists(folder.resolve(last));
    }
    try (Stream<Path> walked = Files.walk(folder)) {
      for (Path path : walked.sorted(Comparator.reverseOrder()).toList()) {
        try {
          Files.delete(path);
        } catch (DirectoryNotEmptyException e) {
          throw new IOException("another process writes to " + path, e);
        }
      }
    }
  }
}
