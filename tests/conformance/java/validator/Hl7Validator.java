import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.GZIPInputStream;
import org.fhir.ucum.UcumEssenceService;
import org.hl7.fhir.r5.conformance.profile.ProfileUtilities;
import org.hl7.fhir.r5.context.ContextUtilities;
import org.hl7.fhir.r5.context.IWorkerContext;
import org.hl7.fhir.r5.context.SimpleWorkerContext;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.elementmodel.Manager;
import org.hl7.fhir.r5.elementmodel.Manager.FhirFormat;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.model.CanonicalType;
import org.hl7.fhir.r5.model.Parameters;
import org.hl7.fhir.r5.model.StructureDefinition;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.ValidatorSession;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.npm.NpmPackage;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.validation.ValidatorSettings;
import org.hl7.fhir.validation.ValidatorUtils;
import org.hl7.fhir.validation.instance.InstanceValidator;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;
import org.hl7.fhir.validation.service.model.InstanceValidatorParameters;

/**
 * The HL7 validator, started once for a whole suite: no terminology server, no network, packages from a folder.
 *
 * Reads [{name, version, profiles, resource}] from standard input; writes [{name, version, issues: [{level, rule,
 * path, words}]}]. The version names the US Core package; Da Vinci Alerts is loaded beside it.
 */
public class Hl7Validator {
  private static final String R4 = "hl7.fhir.r4.core-equiv-4.0.1-from-medplum-4.5.2.tgz";
  private static final String ALERTS = "hl7.fhir.us.davinci-alerts-1.1.0-source.tgz";
  private static final String DOCUMENT_TYPES = "ValueSet-us-core-documentreference-type.json.gz";

  private static final String US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/";
  private static final String HREX = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/";

  /** Who may send a notification: named by Alerts in packages that are not here (HRex, other US Core). */
  private static final Map<String, String> MISSING = Map.of(
      US_CORE + "us-core-practitioner|3.1.1", "us-core-practitioner",
      US_CORE + "us-core-practitioner|6.1.0", "us-core-practitioner",
      HREX + "hrex-practitionerrole", "us-core-practitionerrole",
      HREX + "hrex-organization", "us-core-organization");

  public static void main(String[] arguments) throws Exception {
    var packages = Path.of(arguments[0]);
    var asked = JsonParser.parseReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).getAsJsonArray();
    var base = base(packages);
    Map<String, SimpleWorkerContext> versions = new TreeMap<>();
    for (JsonElement one : asked) {
      var version = one.getAsJsonObject().get("version").getAsString();
      if (!versions.containsKey(version)) versions.put(version, guide(base, packages, version));
    }
    var threads = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
    List<Future<JsonObject>> waiting = new ArrayList<>();
    for (JsonElement one : asked) {
      var question = one.getAsJsonObject();
      waiting.add(threads.submit(() -> judge(versions.get(question.get("version").getAsString()), question)));
    }
    var answers = new JsonArray();
    try {
      for (var one : waiting) answers.add(one.get());
    } finally {
      threads.shutdownNow();
    }
    System.out.println(new Gson().toJson(answers));
  }

  private static NpmPackage read(Path file) throws IOException {
    try (InputStream stream = Files.newInputStream(file)) {
      return NpmPackage.fromPackage(stream);
    }
  }

  private static SimpleWorkerContext base(Path packages) throws Exception {
    return new SimpleWorkerContext.SimpleWorkerContextBuilder()
        .withAllowLoadingDuplicates(true)
        .fromPackage(read(packages.resolve(R4)), ValidatorUtils.loaderForVersion("4.0.1"), false);
  }

  private static SimpleWorkerContext guide(SimpleWorkerContext base, Path packages, String version) throws Exception {
    var context = new SimpleWorkerContext(base);
    context.setCanRunWithoutTerminology(true);
    context.setNoTerminologyServer(true);
    context.setCanNoTS(true);
    context.setExpansionParameters(new Parameters());
    var units = Hl7Validator.class.getClassLoader().getResourceAsStream("ucum-essence.xml");
    context.setUcumService(new UcumEssenceService(units));
    for (var file : List.of("hl7.fhir.us.core-" + version + ".tgz", ALERTS)) {
      context.loadFromPackage(read(packages.resolve(file)), ValidatorUtils.loaderForVersion("4.0.1"));
    }
    for (var profile : new ContextUtilities(context).allStructures()) snapshot(context, profile);
    for (var one : MISSING.entrySet()) context.cacheResource(standIn(context, one.getKey(), one.getValue()));
    try (var stream = new GZIPInputStream(Files.newInputStream(packages.resolve(DOCUMENT_TYPES)))) {
      context.cacheResource(ValidatorUtils.loaderForVersion("4.0.1").loadResource(stream, true));
    }
    return context;
  }

  /** The profile that stands in for a missing one: the same rules under the name that is asked for. */
  private static StructureDefinition standIn(SimpleWorkerContext context, String missing, String known) {
    var name = missing.split("\\|");
    var profile = context.fetchResource(StructureDefinition.class, US_CORE + known).copy();
    profile.setUrl(name[0]);
    if (name.length > 1) profile.setVersion(name[1]);
    profile.setId(profile.getId() + "-stand-in-" + Integer.toHexString(missing.hashCode()));
    return profile;
  }

  /** The Alerts package is made of sources: its profiles say only what differs from what they are based on. */
  private static void snapshot(SimpleWorkerContext context, StructureDefinition profile) {
    if (profile.hasSnapshot()) return;
    var parent = context.fetchResource(StructureDefinition.class, profile.getBaseDefinition());
    snapshot(context, parent);
    new ProfileUtilities(context, new ArrayList<>(), null)
        .setAutoFixSliceNames(true)
        .generateSnapshot(parent, profile, profile.getUrl(), "", profile.getName());
  }

  private static JsonObject judge(SimpleWorkerContext context, JsonObject question) throws Exception {
    var validator = new InstanceValidator(context, null, null, new ValidatorSession(), new ValidatorSettings());
    validator.initializeFromParameters(new InstanceValidatorParameters());
    validator.setFetcher(new NothingElse(context));
    validator.setPolicyAdvisor(
        new BasePolicyAdvisorForFullValidation(ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS, null));
    List<StructureDefinition> profiles = new ArrayList<>();
    if (question.has("profiles")) {
      for (var url : question.getAsJsonArray("profiles")) {
        var profile = context.fetchResource(StructureDefinition.class, url.getAsString());
        if (profile == null) throw new IllegalArgumentException("no profile " + url);
        profiles.add(profile);
      }
    }
    List<ValidationMessage> found = new ArrayList<>();
    var bytes = question.get("resource").toString().getBytes(StandardCharsets.UTF_8);
    validator.validate(null, found, new ByteArrayInputStream(bytes), FhirFormat.JSON, profiles);
    var issues = new JsonArray();
    for (var one : found) {
      var issue = new JsonObject();
      issue.addProperty("level", one.getLevel().toCode());
      issue.addProperty("rule", one.getMessageId());
      issue.addProperty("path", one.getLocation());
      issue.addProperty("words", one.getMessage());
      issues.add(issue);
    }
    var answer = new JsonObject();
    answer.add("name", question.get("name"));
    answer.add("version", question.get("version"));
    answer.add("issues", issues);
    return answer;
  }

  /** Nothing is looked for anywhere: a reference that leads outside leads to something of the type it names. */
  private record NothingElse(SimpleWorkerContext known) implements IValidatorResourceFetcher {
    public Element fetch(IResourceValidator validator, Object context, String url) {
      var parts = url.split("/");
      if (parts.length != 2 || !known.getResourceNamesAsSet().contains(parts[0])) return null;
      var named = "{\"resourceType\":\"" + parts[0] + "\",\"id\":\"" + parts[1] + "\"}";
      try {
        return Manager.parseSingle(known, new ByteArrayInputStream(named.getBytes(StandardCharsets.UTF_8)), FhirFormat.JSON);
      } catch (IOException wrong) {
        throw new UncheckedIOException(wrong);
      }
    }

    public boolean resolveURL(IResourceValidator validator, Object context, String path, String url,
        IWorkerContext.VersionResolutionRules rules, String type, boolean canonical, List<CanonicalType> targets) {
      return true;
    }

    public byte[] fetchRaw(IResourceValidator validator, String url) {
      throw new UnsupportedOperationException("nothing is fetched");
    }

    public IValidatorResourceFetcher setLocale(Locale locale) {
      return this;
    }

    public CanonicalResource fetchCanonicalResource(IResourceValidator validator, Object context, String url) {
      return null;
    }

    public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
      return false;
    }

    public Set<ResourceVersionInformation> fetchCanonicalResourceVersions(
        IResourceValidator validator, Object context, String url) {
      return Set.of();
    }
  }
}
